/* Icons by the names that menus and types use. */
import {
  Activity, Bell, BookOpen, Briefcase, Building, CalendarDays, ChartColumn, Circle, ClipboardList, Cpu, FileText, Flag, Gauge, Inbox, Key, LayoutDashboard,
  ListChecks, Mail, MailX, MapPin, Network, Package, Phone, Radar, Scale, Send, Server, Settings, ShieldCheck, Split, Tag, Ticket, Timer, User, Users, Wrench, Zap,
} from 'lucide-vue-next'
import type { Component } from 'vue'

const ICONS: Record<string, Component> = {
  activity: Activity, bell: Bell, book: BookOpen, briefcase: Briefcase, building: Building, calendar: CalendarDays, chart: ChartColumn, list: ClipboardList,
  cpu: Cpu, file: FileText, flag: Flag, gauge: Gauge, inbox: Inbox, key: Key, layout: LayoutDashboard, checks: ListChecks, mail: Mail, mailx: MailX,
  place: MapPin, network: Network, package: Package, phone: Phone, radar: Radar, scale: Scale, send: Send, server: Server, settings: Settings,
  shield: ShieldCheck, split: Split, tag: Tag, ticket: Ticket, timer: Timer, user: User, users: Users, wrench: Wrench, zap: Zap,
}

export const icon = (name?: string): Component => ICONS[name ?? ''] ?? Circle

/* Where a menu gives none. */
export const TYPE_ICONS: Record<string, string> = {
  'ops.ticket': 'ticket', 'ops.service': 'briefcase', 'ops.system': 'server', 'ops.asset': 'cpu', 'ops.site': 'place', 'ops.contact': 'phone', 'ops.unit': 'building',
  'ops.check': 'activity', 'ops.trigger': 'zap', 'ops.maintenance': 'wrench', 'ops.duty': 'checks', 'ops.deed': 'list', 'ops.sla': 'gauge', 'ops.calendar': 'calendar',
  'ops.calendar_day': 'calendar', 'ops.key_period': 'flag', 'ops.key_date': 'calendar', 'ops.quota': 'scale', 'ops.interface': 'network', 'core.route': 'split', 'core.rota': 'users',
  'core.shift': 'timer', 'core.channel': 'send', 'core.template': 'file', 'core.dictionary': 'book', 'core.dictionary_item': 'tag', 'core.parameter': 'settings',
  'core.grid': 'place', 'core.relation': 'network',
}
