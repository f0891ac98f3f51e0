/* Live news by server-sent events: one connection for the page, opened when somebody listens. */
import { onBeforeUnmount, ref } from 'vue'
import { apiUrl } from './api'

type Listener = (data: Record<string, unknown>) => void

const TOPICS = ['alarm', 'task', 'job', 'notice', 'check']
const listeners = new Map<string, Set<Listener>>()
let source: EventSource | null = null
let wait = 1000
let timer = 0

/* Whether the page hears of news; a screen shows when it does not. */
export const live = ref(false)

function open(): void {
  if (source || !listeners.size) return
  source = new EventSource(apiUrl('core/events', { topics: TOPICS.join(',') }))
  source.onopen = () => {
    live.value = true
    wait = 1000
  }
  source.onerror = () => {
    live.value = false
    source?.close()
    source = null
    clearTimeout(timer)
    timer = window.setTimeout(open, wait)
    wait = Math.min(wait * 2, 30_000)
  }
  /* this page fell behind: everybody asks anew */
  source.addEventListener('lost', () => {
    for (const set of listeners.values()) for (const listener of set) listener({ many: true })
  })
  for (const topic of TOPICS)
    source.addEventListener(topic, (event) => {
      let data: Record<string, unknown>
      try {
        data = JSON.parse((event as MessageEvent<string>).data) as Record<string, unknown>
      } catch {
        return
      }
      for (const listener of listeners.get(topic) ?? []) listener(data)
    })
}

export function onNews(topic: string, fn: Listener): void {
  const set = listeners.get(topic) ?? new Set()
  listeners.set(topic, set)
  set.add(fn)
  open()
  onBeforeUnmount(() => set.delete(fn))
}

export function stopNews(): void {
  source?.close()
  source = null
  live.value = false
  clearTimeout(timer)
}
