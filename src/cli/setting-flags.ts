/** `--set NAME=VALUE` of commands that take it. */
import type { GivenSetting } from '../config/single-settings.ts'
import { UsageError } from './command.ts'

/** @throws UsageError for what names no setting */
export async function settingFlags(texts: readonly string[]): Promise<GivenSetting[]> {
  if (texts.length === 0) return []
  const { settingOfFlag } = await import('../config/single-settings.ts')
  return texts.map((text) => {
    const setting = settingOfFlag(text)
    if ('problem' in setting) throw new UsageError(setting.problem)
    return setting
  })
}
