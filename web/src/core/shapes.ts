/* What the engine's own resources look like, brought into one form for the screens.  The only place that
 * knows how the server spells alarms, tasks, cases and checks. */
import { toMs } from './time'

type Raw = Record<string, unknown>

export interface Named {
  id: string
  name: string
}

const text = (value: unknown): string => (value === undefined || value === null ? '' : String(value))

/* `owner: {id, name}`, or an id beside `owner_name`. */
function named(raw: Raw, key: string): Named | null {
  const value = raw[key]
  if (value === undefined || value === null || value === '') return null
  if (typeof value === 'object') return { id: text((value as Raw).id), name: text((value as Raw).name ?? (value as Raw).id) }
  return { id: text(value), name: text(raw[key + '_name'] ?? value) }
}

export interface Alarm {
  id: string
  grade: number
  state: string /* open acked cleared closed */
  hold: string /* none maintenance parent flapping */
  holdBy: string /* parent: the subject that is down */
  why: string /* why it is held, in words; '' when it is not */
  title: string
  subject: Named | null
  service: Named | null
  source: string
  owner: Named | null
  opened_at: unknown
  last_at: unknown
  cleared_at: unknown
  count: number
  value: string
  escalated: boolean
  log: LogLine[]
}

export interface LogLine {
  at: unknown
  kind: string
  title: string
  text: string
  by: Named | null
  voided?: boolean
}

function line(raw: Raw): LogLine {
  return {
    at: raw.at,
    kind: text(raw.kind ?? raw.event),
    title: text(raw.label),
    text: text(raw.text),
    by: named(raw, 'by'),
    voided: !!raw.voided,
  }
}

/* Events that move clocks. */
export const CLOCK_EVENTS = ['opened', 'edited', 'paused', 'resumed', 'reached', 'closed', 'reopened', 'waived']

export const lines = (raw: unknown): LogLine[] => (Array.isArray(raw) ? (raw as Raw[]).map(line) : [])

export function alarmFrom(raw: Raw): Alarm {
  const hold = !raw.hold || raw.hold === 'free' ? 'none' : text(raw.hold)
  return {
    id: text(raw.id),
    grade: Number(raw.grade ?? 0),
    state: text(raw.state),
    hold,
    holdBy: text(raw.hold_by),
    why: hold === 'none' ? '' : [text(raw.hold_label), text(raw.parent_name)].filter(Boolean).join(' · '),
    title: text(raw.title),
    subject: named(raw, 'subject'),
    service: named(raw, 'service'),
    source: text(raw.source),
    owner: named(raw, 'acked_by'),
    opened_at: raw.opened_at,
    last_at: raw.last_at,
    cleared_at: raw.cleared_at,
    count: Number(raw.count ?? 1),
    value: text(raw.value),
    escalated: !!raw.escalated,
    log: lines(raw.events),
  }
}

/* A recurring duty of a service as core/services and core/duties tell it. */
export interface Duty {
  id: string
  service: string
  service_name: string
  kind: 'inspection' | 'deliverable'
  name: string
  interval: string
  general: boolean
  state: 'done' | 'due' | 'overdue' | 'event'
  due_at: string | null
  open: number /* windows that ended short */
}

/* A clock that will break next, or broke: core/clocks/due. */
export interface DueClock {
  id: string
  what: string
  title: string
  number: string
  service: string
  level: string
  due_at: unknown
  share: number
  link: string
}

export function dueFrom(raw: Raw): DueClock {
  const one = (raw.case ?? {}) as Raw
  return {
    id: `${text(one.id)}/${text(raw.clock)}`,
    what: text(raw.label ?? raw.clock),
    title: text(one.title),
    number: text(one.number),
    service: text(one.service),
    level: text(one.level),
    due_at: raw.due_at,
    share: Number(raw.share ?? 0),
    link: `/r/${text(one.type).replace('.', '/')}/${text(one.id)}`,
  }
}

/* Root causes first, each with the alarms that are held because its subject is down. */
export function folded(all: Alarm[]): { one: Alarm; children: Alarm[] }[] {
  const roots = all.filter((one) => one.hold !== 'parent' || !all.some((other) => other !== one && other.hold !== 'parent' && other.subject?.id === one.holdBy))
  const first = new Set<string>()
  return roots.map((one) => {
    /* several alarms of one subject: the worst, which stands first, takes the children */
    const takes = one.hold !== 'parent' && one.subject !== null && !first.has(one.subject.id)
    if (takes) first.add(one.subject!.id)
    return { one, children: takes ? all.filter((child) => child.hold === 'parent' && child.holdBy === one.subject!.id) : [] }
  })
}

/* ---- tasks and cases ---- */

export interface TaskAction {
  action: string
  label: string
  back_to: string | null
  needs_opinion: boolean
}

export interface Task {
  id: string
  name: string
  node: string
  state: string
  assignee: Named | null
  mine: boolean
  claimable: boolean
  opened_at: unknown
  due_at: unknown
  done_at: unknown
  late: boolean
  case: { id: string; type: string; number: string; title: string; state: string; state_label: string; level: string; service: string } | null
  /* only of a single task */
  form: string[]
  required: string[]
  actions: TaskAction[]
  handover: boolean
  record: Raw | null
}

export function taskFrom(raw: Raw): Task {
  const one = (raw.case ?? null) as Raw | null
  return {
    id: text(raw.id),
    name: text(raw.name),
    node: text(raw.node),
    state: text(raw.state),
    assignee: named(raw, 'assignee'),
    mine: !!raw.mine,
    claimable: !!raw.claimable,
    opened_at: raw.opened_at,
    due_at: raw.due_at,
    done_at: raw.done_at,
    late: !!raw.late,
    case: one && {
      id: text(one.id),
      type: text(one.type),
      number: text(one.number),
      title: text(one.title),
      state: text(one.state),
      state_label: text(one.state_label ?? one.state),
      level: text(one.level),
      service: text(one.service),
    },
    form: (raw.form as string[]) ?? [],
    required: (raw.required as string[]) ?? [],
    actions: (raw.actions as TaskAction[]) ?? [],
    handover: !!raw.handover,
    record: (raw.record as Raw) ?? null,
  }
}

/* What runs out first comes first; without a deadline last. */
export const byTimeLeft = (a: Task, b: Task): number => (toMs(a.due_at) ?? Infinity) - (toMs(b.due_at) ?? Infinity)
export const caseLink = (task: Task): string => (task.case?.type ? `/r/${task.case.type.replace('.', '/')}/${task.case.id}` : '/tasks')

export interface Piece {
  kind: string /* run pause ended ahead */
  from: number
  to: number
  counted: number
  calendar: string
  working: boolean
  why: string
  spans: { from: number; to: number }[]
}

export interface ClockState {
  clock: string
  label: string
  state: string /* running paused breached met late waived not_agreed */
  stateLabel: string
  limit: number
  used: number
  due: number | null
  reached: number | null
  calendar: string
  always: boolean /* every minute counts */
  source: string
  workaround: boolean
  pieces: Piece[]
}

export function clockFrom(raw: Raw): ClockState {
  return {
    clock: text(raw.clock),
    label: text(raw.label ?? raw.clock),
    state: text(raw.state),
    stateLabel: text(raw.state_label ?? raw.state),
    limit: Number(raw.limit_ms ?? 0),
    used: Number(raw.used_ms ?? 0),
    due: toMs(raw.due_at),
    reached: toMs(raw.reached_at),
    calendar: text(raw.calendar_label ?? raw.calendar),
    always: raw.calendar === 'always',
    source: text(raw.source_label ?? raw.source),
    workaround: !!raw.workaround,
    pieces: ((raw.pieces as Raw[]) ?? []).map((p) => ({
      kind: text(p.kind),
      from: toMs(p.from) ?? 0,
      to: toMs(p.to) ?? 0,
      counted: Number(p.counted_ms ?? 0),
      calendar: text(p.calendar),
      working: !!p.working,
      why: text(p.why),
      spans: ((p.spans as Raw[]) ?? []).map((one) => ({ from: toMs(one.from) ?? 0, to: toMs(one.to) ?? 0 })),
    })),
  }
}

export interface Picture {
  name: string
  nodes: { id: string; name: string; kind: string; x: number; y: number; width: number; height: number; state: string }[]
  edges: { id: string; name: string; points: [number, number][]; passed: boolean }[]
}

export interface Case {
  id: string
  type: string
  number: string
  title: string
  state: string
  stateLabel: string
  service: string
  level: string
  opened_at: unknown
  closed_at: unknown
  prior: string
  version: string
  paused: boolean
  tasks: Task[]
  clocks: ClockState[]
  timeline: LogLine[]
  events: { id: string; kind: string; label: string; voided: boolean }[]
  picture: Picture | null
  may: string[]
}

export function caseFrom(raw: Raw): Case {
  const timeline = (raw.timeline as Raw[]) ?? []
  const flow = raw.flow as Picture | null | undefined
  return {
    id: text(raw.id),
    type: text(raw.type),
    number: text(raw.number),
    title: text(raw.title),
    state: text(raw.state),
    stateLabel: text(raw.state_label ?? raw.state),
    service: text(raw.service),
    level: text(raw.level),
    opened_at: raw.opened_at,
    closed_at: raw.closed_at,
    prior: text(raw.prior),
    version: text(raw.version),
    paused: !!raw.paused,
    tasks: ((raw.tasks as Raw[]) ?? []).map(taskFrom),
    clocks: ((raw.clocks as Raw[]) ?? []).map(clockFrom),
    timeline: lines(timeline),
    events: timeline.map((one) => ({ id: text(one.id), kind: text(one.kind), label: text(one.label ?? one.kind), voided: !!one.voided })),
    picture: flow && Array.isArray(flow.nodes) && flow.nodes.length ? flow : null,
    may: (raw.may as string[]) ?? [],
  }
}
