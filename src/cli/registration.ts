import type { CommandGroup } from './command.ts'

export const command: CommandGroup = {
  name: 'registration',
  summary: 'Make, inspect and renew the registration with a control plane',
  usage: 'sluice registration COMMAND [OPTIONS]',
  examples: [
    'sluice registration create shop-edge --token=TOKEN --control-plane=https://control.example:7443',
    'sluice registration inspect',
    'sluice registration renew --username=USER --password=PASSWORD --output-directory=new registration.yaml',
  ],
  commands: {
    create: () => import('./registration/create.ts'),
    inspect: () => import('./registration/inspect.ts'),
    renew: () => import('./registration/renew.ts'),
  },
}
