import type { CommandGroup } from './command.ts'

export const command: CommandGroup = {
  name: 'policy',
  summary: 'List the policies, write a new one, run its tests',
  usage: 'sluice policy COMMAND [OPTIONS]',
  examples: [
    'sluice policy list',
    'sluice policy new request-size-limit',
    'sluice policy test request-size-limit',
  ],
  commands: {
    list: () => import('./policy/list.ts'),
    new: () => import('./policy/new.ts'),
    test: () => import('./policy/test.ts'),
  },
}
