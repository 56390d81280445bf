import type { Command, CommandGroup } from './command.ts'

/** Help for one command. */
export function commandHelp(command: Command): string {
  return page([
    head(command),
    section('Options', table([...optionRows(command), helpRow])),
    section('Examples', command.examples.map(indent)),
  ])
}

/** Help for a command that holds others; loads them all for their summaries. */
export async function groupHelp(group: CommandGroup): Promise<string> {
  const rows = await Promise.all(
    Object.entries(group.commands).map(
      async ([name, load]) => [name, (await load()).command.summary] as const,
    ),
  )
  const one = ['sluice', group.name, 'COMMAND --help'].filter(Boolean).join(' ')
  return page([
    head(group),
    section('Commands', table(rows)),
    section('Options', table([...optionRows(group), helpRow])),
    section('Examples', group.examples.map(indent)),
    [`'${one}' explains one command.`],
  ])
}

type Row = readonly [name: string, text: string]

const helpRow: Row = ['-h, --help', 'Show this help']

function optionRows(command: Pick<Command, 'options'>): Row[] {
  return (command.options ?? []).map((option) => [option.flags, option.text])
}

function head(command: Pick<Command, 'summary' | 'usage'>): string[] {
  return [`${command.summary}.`, '', `Usage: ${command.usage}`]
}

function section(title: string, lines: readonly string[]): string[] {
  return [`${title}:`, ...lines]
}

function table(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, text]) => indent(`${name.padEnd(width)}  ${text}`))
}

function indent(line: string): string {
  return `  ${line}`
}

function page(parts: readonly (readonly string[])[]): string {
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`
}
