/* The screens that are written in TypeScript, by the name that a menu or a page gives them
 * (docs/page.schema.json lists the same names). */
import type { MenuItem } from '@/core/session'

export const SCREENS: Record<string, { to: string; icon: string; permission: string }> = {
  workbench: { to: '/', icon: 'layout', permission: '' },
  alarms: { to: '/alarms', icon: 'bell', permission: 'core.alarm.read' },
  tasks: { to: '/tasks', icon: 'inbox', permission: '' },
  notices: { to: '/notices', icon: 'mail', permission: '' },
  decisions: { to: '/decisions', icon: 'split', permission: 'core.decision.read' },
  probes: { to: '/probes', icon: 'radar', permission: 'core.probe.read' },
  rota: { to: '/rota', icon: 'users', permission: 'core.rota.read' },
  reports: { to: '/reports', icon: 'chart', permission: '' },
  channels: { to: '/channels', icon: 'send', permission: 'core.channel.read' },
  people: { to: '/people/users', icon: 'user', permission: 'core.user.read' },
  audit: { to: '/audit', icon: 'shield', permission: 'core.audit.read' },
  jobs: { to: '/jobs', icon: 'timer', permission: 'core.job.read' },
  deadletters: { to: '/deadletters', icon: 'mailx', permission: 'core.deadletter.read' },
  settings: { to: '/settings', icon: 'settings', permission: 'core.setting.read' },
  start: { to: '/start', icon: 'flag', permission: 'core.setting.update' },
}

/* Where an entry leads: to an address, a screen, a page of a pack or the list of a type. */
export function menuTarget(item: MenuItem): string | null {
  if (item.to) return item.to
  if (item.screen) return SCREENS[item.screen]?.to ?? null
  if (item.page) return `/p/${item.page.replace('.', '/')}`
  if (item.type) return `/r/${item.type.replace('.', '/')}`
  return null
}
