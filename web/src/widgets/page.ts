/* Pages of packs, as docs/page.schema.json describes them. */
import type { Title } from '@/core/words'

export interface Param {
  name: string
  title?: Title
  default?: unknown
  hidden?: boolean
}

export interface Column {
  name: string
  title?: Title
  kind?: 'text' | 'number' | 'percent' | 'instant' | 'date' | 'money' | 'grade' | 'state'
  link?: string
}

interface Base {
  title?: Title
  width?: number
}

export type WidgetSpec = Base &
  (
    | { widget: 'number'; query: string; value: string; unit?: Title; link?: string; good?: { least?: number; most?: number } }
    | { widget: 'table'; query: string; columns?: Column[]; limit?: number }
    | { widget: 'chart'; query: string; kind?: 'line' | 'bar'; x: string; y: { name: string; title?: Title }[]; unit?: Title; threshold?: { value: number; title: Title } }
    | { widget: 'records'; type: string; filter?: string; columns?: string[]; sort?: string; limit?: number }
    | { widget: 'record'; type: string; id: string; fields?: string[] }
    | { widget: 'form'; type: string; fields?: string[]; start?: Record<string, string>; act?: Title }
    | { widget: 'alarms'; service?: string; subject?: string; limit?: number }
    | { widget: 'tasks'; limit?: number }
    | { widget: 'links'; items: { title: Title; to?: string; type?: string; page?: string; screen?: string }[] }
    | { widget: 'text'; text: Title }
  )

export interface Page {
  title: Title
  params?: Param[]
  widgets: WidgetSpec[]
}

/* `{name}` in a text of a page is the parameter of that name. */
export function fill(text: string, params: Record<string, string>): string {
  return text.replace(/\{([a-z][a-z0-9_]*)\}/g, (whole, name: string) => params[name] ?? whole)
}

/* The same within FEEL, where it becomes a literal text. */
export function fillFeel(text: string, params: Record<string, string>): string {
  return text.replace(/\{([a-z][a-z0-9_]*)\}/g, (whole, name: string) => (name in params ? `"${params[name]!.replace(/[\\"]/g, '\\$&')}"` : whole))
}
