/* The way to the server: JSON, CSRF token, problem+json, versions.  Nothing else in web/ calls fetch. */
import { lang } from './words'

export interface ProblemItem {
  pointer?: string
  code?: string
  args?: Record<string, unknown>
  message?: string
}

/* An answer that is not the one asked for.  status 0: no answer at all. */
export class Problem extends Error {
  status: number
  title: string
  detail: string
  instance: string
  errors: ProblemItem[]
  body: Record<string, unknown>

  constructor(status: number, body: Record<string, unknown>) {
    super(String(body.title ?? status))
    this.status = status
    this.title = String(body.title ?? '')
    this.detail = String(body.detail ?? '')
    this.instance = String(body.instance ?? '')
    this.errors = Array.isArray(body.errors) ? (body.errors as ProblemItem[]) : []
    this.body = body
  }
}

let csrf = ''
let onSignedOut: () => void = () => {}

export function setCsrf(token: string): void {
  csrf = token
}

export function whenSignedOut(fn: () => void): void {
  onSignedOut = fn
}

const BASE = '/api/v1/'

export type Params = Record<string, string | number | boolean | undefined | null>

export function apiUrl(path: string, params?: Params): string {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(params ?? {}))
    if (value !== undefined && value !== null && value !== '') query.set(key, String(value))
  const text = query.toString()
  return BASE + path + (text ? (path.includes('?') ? '&' : '?') + text : '')
}

export interface Options {
  params?: Params
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
  version?: number | string
  quiet401?: boolean
}

export interface Answer<T> {
  data: T
  version: string | null
  headers: Headers
}

export async function call<T>(method: string, path: string, options: Options = {}): Promise<Answer<T>> {
  const headers: Record<string, string> = {
    Accept: 'application/json, application/problem+json',
    'Accept-Language': lang.value,
    ...options.headers,
  }
  if (method !== 'GET' && csrf) headers['X-CSRF-Token'] = csrf
  if (options.version !== undefined) headers['If-Match'] = `"${options.version}"`
  let body: BodyInit | undefined
  if (options.body instanceof Blob) body = options.body
  else if (options.body !== undefined) {
    body = JSON.stringify(options.body)
    headers['Content-Type'] ??= method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  }

  let response: Response
  try {
    response = await fetch(apiUrl(path, options.params), {
      method,
      headers,
      body,
      signal: options.signal,
      credentials: 'same-origin',
    })
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new Problem(0, {})
  }
  const text = await response.text()
  let data: unknown = null
  if (text && /json/.test(response.headers.get('Content-Type') ?? '')) {
    try {
      data = JSON.parse(text)
    } catch {
      throw new Problem(502, {})
    }
  }
  if (!response.ok) {
    if (response.status === 401 && !options.quiet401) onSignedOut()
    throw new Problem(response.status, (data as Record<string, unknown> | null) ?? {})
  }
  const tag = response.headers.get('ETag')
  return { data: data as T, version: tag ? tag.replace(/^W\//, '').replaceAll('"', '') : null, headers: response.headers }
}

export const get = async <T>(path: string, params?: Params, signal?: AbortSignal): Promise<T> =>
  (await call<T>('GET', path, { params, signal })).data
export const post = async <T>(path: string, body?: unknown, options: Options = {}): Promise<T> =>
  (await call<T>('POST', path, { ...options, body: body ?? {} })).data
export const patch = async <T>(path: string, body: unknown, version: number | string): Promise<T> =>
  (await call<T>('PATCH', path, { body, version })).data
export const remove = async (path: string, version?: number | string): Promise<void> => {
  await call('DELETE', path, { version })
}

/* Fetches a file and hands it to the browser's own saving. */
export async function download(path: string, params: Params, fallback: string): Promise<void> {
  const response = await fetch(apiUrl(path, params), {
    headers: { 'Accept-Language': lang.value },
    credentials: 'same-origin',
  }).catch(() => {
    throw new Problem(0, {})
  })
  if (!response.ok) {
    if (response.status === 401) onSignedOut()
    throw new Problem(response.status, (await response.json().catch(() => ({}))) as Record<string, unknown>)
  }
  const disposition = response.headers.get('Content-Disposition') ?? ''
  const starred = /filename\*=UTF-8''([^;]+)/i.exec(disposition)?.[1]
  const name = starred ? decodeURIComponent(starred) : (/filename="?([^";]+)"?/i.exec(disposition)?.[1] ?? fallback)
  const url = URL.createObjectURL(await response.blob())
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
