/* The screens that are written in TypeScript, by the name that a menu or a page gives them
 * (docs/page.schema.json lists the same names), and the menu that holds where no pack brings one. */
import type { MenuItem } from '@/core/session'
import { t } from '@/core/words'

export const SCREENS: Record<string, { to: string; icon: string; permission: string }> = {
  workbench: { to: '/', icon: 'layout', permission: '' },
  alarms: { to: '/alarms', icon: 'bell', permission: 'core.alarm.read' },
  tasks: { to: '/tasks', icon: 'inbox', permission: '' },
  notices: { to: '/notices', icon: 'mail', permission: '' },
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

const screen = (name: string): MenuItem => ({
  title: t(`ui.screen.${name}`),
  to: SCREENS[name]!.to,
  icon: SCREENS[name]!.icon,
  permission: SCREENS[name]!.permission,
})
const type = (full: string, icon: string): MenuItem => ({
  title: t(`ui.menu.${full}`),
  to: `/r/${full.replace('.', '/')}`,
  icon,
  permission: `${full}.read`,
})

export function fallbackMenu(): MenuItem[] {
  return [
    { title: t('ui.menu.work'), items: [screen('workbench'), screen('alarms'), type('ops.ticket', 'ticket')] },
    {
      title: t('ui.menu.look_after'),
      items: [type('ops.service', 'briefcase'), type('ops.system', 'server'), type('core.check', 'activity'), screen('probes'), type('core.trigger', 'zap')],
    },
    { title: t('ui.menu.duty'), items: [screen('rota'), type('core.maintenance', 'wrench'), screen('reports')] },
    {
      title: t('ui.menu.configure'),
      items: [screen('channels'), type('core.route', 'split'), type('core.calendar', 'calendar'), screen('people')],
    },
    { title: t('ui.menu.system'), items: [screen('jobs'), screen('deadletters'), screen('audit'), screen('settings')] },
  ]
}

/* Where an entry leads: to an address, a screen, a page of a pack or the list of a type. */
export function menuTarget(item: MenuItem & { screen?: string }): string | null {
  if (item.to) return item.to
  if (item.screen) return SCREENS[item.screen]?.to ?? null
  if (item.page) return `/p/${item.page.replace('.', '/')}`
  if (item.type) return `/r/${item.type.replace('.', '/')}`
  return null
}
