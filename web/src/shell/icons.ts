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
