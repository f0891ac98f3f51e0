/* Who is logged in, and what the whole page knows because of that. */
import { defineStore } from 'pinia'
import { call, get, post, setCsrf } from './api'
import { addServedWords, hasServedWords, lang, useLang, type Lang, type Title } from './words'
import { typeEntries } from './types'
import { prefs } from './prefs'
import { forgetGuide } from './start'
import { setZone } from './time'

export interface User {
  id: string
  name: string
  login: string
  org?: string | { id: string; name: string } | null
}

interface SessionAnswer {
  user: User
  permissions: string[]
  csrf: string
  mustChangePassword?: boolean
  mustEnrol?: boolean
  lang?: Lang
  zone?: string
}

export interface MenuItem {
  id?: string
  title: Title
  to?: string
  page?: string
  type?: string
  screen?: string
  icon?: string
  permission?: string
  items?: MenuItem[]
}

/* `ops.*` holds `ops.ticket.update`. */
export function covers(pattern: string, permission: string): boolean {
  if (pattern === '*' || pattern === permission) return true
  return pattern.endsWith('.*') && permission.startsWith(pattern.slice(0, -1))
}

/* The server answers in the account's language, so the page speaks it too: on a shared computer the one before
 * may have chosen another. */
async function follow(of?: Lang) {
  if (!of || of === lang.value) return
  await useLang(of)
  prefs.lang = of
}

export const useSession = defineStore('session', {
  state: () => ({
    user: null as User | null,
    permissions: [] as string[],
    mustChangePassword: false,
    mustEnrol: false,
    menu: [] as MenuItem[],
    asked: false,
  }),
  getters: {
    may: (state) => (permission: string) =>
      permission === '' || permission === '*' || state.permissions.some((p) => covers(p, permission)),
  },
  actions: {
    take(answer: SessionAnswer) {
      this.user = answer.user
      this.permissions = answer.permissions ?? []
      this.mustChangePassword = !!answer.mustChangePassword
      this.mustEnrol = !!answer.mustEnrol
      setCsrf(answer.csrf)
      if (answer.zone) setZone(answer.zone)
    },
    async load(): Promise<boolean> {
      this.asked = true
      try {
        const answer = (await call<SessionAnswer>('GET', 'core/session', { quiet401: true })).data
        this.take(answer)
        await follow(answer.lang)
        return true
      } catch {
        this.user = null
        return false
      }
    },
    /* `spoken`: the language chosen on the login page, which becomes the account's. */
    async login(user: string, password: string, totp?: string, spoken?: Lang) {
      const answer = await call<SessionAnswer>('POST', 'core/session', {
        body: totp ? { user, password, totp } : { user, password },
        quiet401: true,
      })
      this.take(answer.data)
      if (spoken) await call('PATCH', 'core/session', { body: { lang: spoken } }).catch(() => {})
      else await follow(answer.data.lang)
    },
    async changePassword(old: string, next: string) {
      const answer = await post<Partial<SessionAnswer> | null>('core/session/password', { old, new: next })
      this.mustChangePassword = false
      if (answer?.csrf) setCsrf(answer.csrf)
    },
    async logout() {
      await call('DELETE', 'core/session', { quiet401: true }).catch(() => {})
      this.forget()
    },
    forget() {
      forgetGuide()
      this.user = null
      this.permissions = []
      this.menu = []
      setCsrf('')
    },
    /* Menu and words of the packs; once after login and after each change of language. */
    async loadSurroundings() {
      const jobs: Promise<unknown>[] = [
        Promise.all([get<{ items: MenuItem[] }>('core/menu'), typeEntries().catch(() => [])])
          .then(([menu, types]) => {
            /* a type without a title of its own is called what it is */
            const named = (item: MenuItem): MenuItem => ({
              ...item,
              title: item.title ?? types.find((one) => `${one.pack}.${one.type}` === item.type)?.title ?? (item.screen ? `ui.screen.${item.screen}` : ''),
              items: item.items?.map(named),
            })
            this.menu = (menu.items ?? []).map(named)
          })
          .catch(() => {}),
      ]
      const of = lang.value
      if (!hasServedWords(of))
        jobs.push(
          get<Record<string, string>>('core/words', { lang: of })
            .then((words) => addServedWords(of, words))
            .catch(() => {}),
        )
      await Promise.all(jobs)
    },
  },
})
