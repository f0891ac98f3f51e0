import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'
import { call, Problem } from './core/api'
import { useSession } from './core/session'
import { askGuide, postponed } from './core/start'
import { toastProblem } from './shell/toast'

const routes: RouteRecordRaw[] = [
  { path: '/login', component: () => import('./screens/Login.vue'), meta: { open: true } },
  {
    path: '/',
    component: () => import('./shell/Shell.vue'),
    children: [
      { path: '', component: () => import('./screens/Workbench.vue') },
      { path: 'start', component: () => import('./screens/FirstStart.vue') },
      { path: 'alarms', component: () => import('./screens/Alarms.vue') },
      { path: 'alarms/:id', component: () => import('./screens/Alarm.vue'), props: true },
      { path: 'tasks', component: () => import('./screens/Tasks.vue') },
      { path: 'notices', component: () => import('./screens/Notices.vue') },
      { path: 'r/:pack/:type', component: () => import('./record/RecordList.vue'), props: true },
      { path: 'r/:pack/:type/new', component: () => import('./record/RecordForm.vue'), props: true },
      { path: 'r/:pack/:type/import', component: () => import('./record/RecordImport.vue'), props: true },
      { path: 'r/:pack/:type/:id', component: () => import('./record/RecordPage.vue'), props: true },
      { path: 'r/:pack/:type/:id/edit', component: () => import('./record/RecordForm.vue'), props: true },
      { path: 'subjects/:id', component: () => import('./screens/SubjectDoor.vue'), props: true },
      { path: 'decisions', component: () => import('./screens/Decisions.vue') },
      { path: 'decisions/:id', component: () => import('./screens/Decision.vue'), props: true },
      { path: 'cases/:id/why', component: () => import('./screens/Why.vue'), props: true },
      { path: 'p/:pack/:name', component: () => import('./widgets/PackPage.vue'), props: true },
      { path: 'reports', component: () => import('./screens/Reports.vue') },
      { path: 'reports/service/:id', component: () => import('./screens/Report.vue'), props: true },
      { path: 'probes', component: () => import('./screens/Probes.vue') },
      { path: 'rota', component: () => import('./screens/Rota.vue') },
      { path: 'channels', component: () => import('./screens/Channels.vue') },
      { path: 'people', redirect: '/people/users' },
      { path: 'people/:tab', component: () => import('./screens/People.vue'), props: true },
      { path: 'audit', component: () => import('./screens/Audit.vue') },
      { path: 'jobs', component: () => import('./screens/Jobs.vue') },
      { path: 'deadletters', component: () => import('./screens/DeadLetters.vue') },
      { path: 'settings', component: () => import('./screens/Settings.vue') },
      { path: 'help/:page?', component: () => import('./screens/Help.vue'), props: true },
      { path: 'me', component: () => import('./screens/Me.vue') },
      { path: ':rest(.*)*', component: () => import('./screens/NotHere.vue') },
    ],
  },
]

export const router = createRouter({
  history: createWebHistory(),
  routes,
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
})

router.beforeEach(async (to) => {
  if (to.meta.open) return true
  const session = useSession()
  if (!session.user && !(await session.load()))
    return { path: '/login', query: to.fullPath === '/' ? {} : { to: to.fullPath } }
  if (session.mustEnrol && !session.mustChangePassword) return to.path === '/me' ? true : '/me'
  if (session.mustChangePassword) return { path: '/login', query: { to: to.fullPath } }
  if (to.path === '/') {
    if (postponed()) void askGuide()
    else if (!(await askGuide())) return '/start'
  }
  return true
})

/* The script of a screen does not come: the server is away, which is said; or it runs another version, whose
 * pages have other names: then the whole page is fetched anew, once for an address. */
const RENEWED = 'bihuan.renewed'
router.onError(async (cause, to) => {
  if (!/dynamically imported module|module script|preload/i.test(String(cause))) return
  const away = await call('GET', 'core/session', { quiet401: true }).then(
    () => null,
    (problem: unknown) => (problem instanceof Problem && problem.status > 0 ? null : problem),
  )
  if (away || sessionStorage.getItem(RENEWED) === to.fullPath) return toastProblem(away ?? cause)
  sessionStorage.setItem(RENEWED, to.fullPath)
  location.assign(to.fullPath)
})
router.afterEach(() => sessionStorage.removeItem(RENEWED))
