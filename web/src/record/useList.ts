/* The rows of a list: asked for page by page with a keyset cursor, counted afterwards. */
import { ref, shallowRef, type Ref } from 'vue'
import { get, type Params } from '@/core/api'
import type { Row } from '@/core/types'

interface Page<T> {
  items: T[]
  next?: string | null
}

export interface List<T> {
  rows: Ref<T[]>
  next: Ref<string | null>
  busy: Ref<boolean>
  loaded: Ref<boolean> /* an answer came, good or bad */
  problem: Ref<unknown>
  count: Ref<string>
  load: (path: string, params: Params, counted?: boolean) => Promise<void>
  more: () => Promise<void>
  again: () => Promise<void>
}

export function useList<T extends object = Row>(limit = 50): List<T> {
  const rows = shallowRef<T[]>([])
  const next = ref<string | null>(null)
  const busy = ref(false)
  const loaded = ref(false)
  const problem = shallowRef<unknown>(null)
  const count = ref('')
  let path = ''
  let params: Params = {}
  let counted = true
  let abort = new AbortController()

  async function fetchPage(after?: string) {
    const { signal } = abort
    busy.value = true
    try {
      const page = await get<Page<T>>(path, { ...params, limit, after }, signal)
      if (signal.aborted) return
      rows.value = after ? [...rows.value, ...page.items] : page.items
      next.value = page.next ?? null
      problem.value = null
    } catch (cause) {
      if (signal.aborted) return
      problem.value = cause
    } finally {
      if (!signal.aborted) {
        busy.value = false
        loaded.value = true
      }
    }
  }

  async function tally() {
    if (!next.value) {
      count.value = String(rows.value.length)
      return
    }
    const { signal } = abort
    try {
      const { sort: _sort, ...rest } = params
      const answer = await get<{ count: number; exact?: boolean }>(path, { ...rest, count: 1 }, signal)
      if (!signal.aborted) count.value = answer.exact === false ? `${answer.count}+` : String(answer.count)
    } catch {
      if (!signal.aborted) count.value = ''
    }
  }

  return {
    rows,
    next,
    busy,
    loaded,
    problem,
    count,
    async load(newPath, newParams, withCount = true) {
      abort.abort()
      abort = new AbortController()
      if (newPath !== path) {
        rows.value = []
        count.value = ''
      }
      path = newPath
      params = newParams
      counted = withCount
      await fetchPage()
      if (counted && !problem.value) await tally()
    },
    async more() {
      if (next.value && !busy.value) await fetchPage(next.value)
    },
    async again() {
      abort.abort()
      abort = new AbortController()
      await fetchPage()
      if (counted && !problem.value) await tally()
    },
  }
}
