/* Words by key in the user's language.  The page's own (`ui.*`) are built in; those of the server and of
 * packs are fetched after login and laid over them. */
import { reactive, ref } from 'vue'
import { format, type Args } from './format'

export type Lang = 'zh-CN' | 'en'

const loaders = {
  'zh-CN': () => import('virtual:words/zh-CN'),
  en: () => import('virtual:words/en'),
}

const own: Record<string, Record<string, string>> = {}
const served: Record<string, Record<string, string>> = {}
const table = reactive<{ words: Record<string, string> }>({ words: {} })

export const lang = ref<Lang>('zh-CN')

export async function useLang(next: Lang): Promise<void> {
  own[next] ??= (await loaders[next]()).default
  lang.value = next
  table.words = { ...served[next], ...own[next] }
  document.documentElement.lang = next
}

export function addServedWords(of: Lang, words: Record<string, string>): void {
  served[of] = words
  if (of === lang.value) table.words = { ...words, ...own[of] }
}

export function hasServedWords(of: Lang): boolean {
  return of in served
}

export function t(key: string, args?: Args): string {
  const text = table.words[key]
  return text === undefined ? key : format(text, args)
}

/* The text of a key that may be unknown, such as a code that a pack added. */
export function tOr(key: string, fallback: string, args?: Args): string {
  const text = table.words[key]
  return text === undefined ? fallback : format(text, args)
}

/* The codes and texts below a prefix: `ops.state.` gives accepting → 待受理. */
export function wordsUnder(prefix: string): { code: string; title: string }[] {
  return Object.entries(table.words)
    .filter(([key]) => key.startsWith(prefix) && !key.slice(prefix.length).includes('.'))
    .map(([key, title]) => ({ code: key.slice(prefix.length), title }))
}

/* A title as packs write it: a plain text, a word key, or one text for each language. */
export type Title = string | Partial<Record<Lang | 'zh', string>> | undefined | null

export function titleText(title: Title, fallback = ''): string {
  if (!title) return fallback
  if (typeof title === 'string') return table.words[title] ?? title
  return title[lang.value] ?? title['zh-CN'] ?? title.zh ?? title.en ?? fallback
}
