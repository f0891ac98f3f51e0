/* What a user chose about the looks, kept in this browser: theme, language, density, columns. */
import { reactive, ref, watch } from 'vue'
import type { Lang } from './words'

export interface Prefs {
  theme: 'auto' | 'light' | 'dark'
  lang: Lang | ''
  density: 'normal' | 'compact'
  sound: boolean
  notice: boolean
  columns: Record<string, string[]>
  folded: Record<string, boolean>
}

const KEY = 'bihuan.prefs'
const start: Prefs = { theme: 'auto', lang: '', density: 'normal', sound: false, notice: false, columns: {}, folded: { setup: true, system: true } }

function load(): Prefs {
  try {
    return { ...start, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Prefs>) }
  } catch {
    return { ...start }
  }
}

export const prefs = reactive<Prefs>(load())

const dark = matchMedia('(prefers-color-scheme: dark)')

/* Whether the page is as narrow as a phone: lists draw cards then, not a table as well. */
const narrow = matchMedia('(max-width: 760px)')
export const phone = ref(narrow.matches)
narrow.addEventListener('change', () => (phone.value = narrow.matches))

export function isDark(): boolean {
  return prefs.theme === 'dark' || (prefs.theme === 'auto' && dark.matches)
}

function paint(): void {
  document.documentElement.classList.toggle('dark', isDark())
  document.documentElement.dataset.density = prefs.density
}

dark.addEventListener('change', paint)
watch(
  prefs,
  () => {
    localStorage.setItem(KEY, JSON.stringify(prefs))
    paint()
  },
  { immediate: true },
)

/* A draft of a form, kept until it is sent or thrown away. */
export const drafts = {
  get<T>(key: string): T | null {
    try {
      return JSON.parse(localStorage.getItem('bihuan.draft.' + key) ?? 'null') as T | null
    } catch {
      return null
    }
  },
  set: (key: string, value: unknown) => localStorage.setItem('bihuan.draft.' + key, JSON.stringify(value)),
  drop: (key: string) => localStorage.removeItem('bihuan.draft.' + key),
}
