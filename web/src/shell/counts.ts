/* The figures of the top bar: open alarms, my tasks, unread messages.  Asked for once, then again on news; in a
 * storm of news no oftener than a reader can follow. */
import { reactive } from 'vue'
import { get } from '@/core/api'

type What = 'alarms' | 'tasks' | 'notices'
interface Counted {
  count: number
}

export const counts = reactive<Record<What, number | null>>({ alarms: null, tasks: null, notices: null })

const ASK: Record<What, () => Promise<number>> = {
  alarms: () => get<{ open: number; acked: number }>('core/alarms/count').then((a) => a.open + a.acked),
  tasks: () => get<Counted>('core/tasks', { mine: 1, count: 1 }).then((a) => a.count),
  notices: () => get<Counted>('core/notices', { unread: 1, count: 1 }).then((a) => a.count),
}
const FIRST_MS = 300
const BETWEEN_MS = 1000
const waiting = new Set<What>()
let timer = 0
let asked = 0

function ask(): void {
  timer = 0
  asked = Date.now()
  for (const what of waiting)
    void ASK[what]()
      .then((n) => (counts[what] = n))
      .catch(() => (counts[what] = null))
  waiting.clear()
}

export function recount(...what: What[]): void {
  for (const one of what.length ? what : (Object.keys(ASK) as What[])) waiting.add(one)
  timer ||= window.setTimeout(ask, Math.max(FIRST_MS, BETWEEN_MS - (Date.now() - asked)))
}
