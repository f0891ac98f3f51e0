import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'
import { useSession } from './core/session'

const routes: RouteRecordRaw[] = [
  { path: '/login', component: () => import('./screens/Login.vue'), meta: { open: true } },
  {
    path: '/',
    component: () => import('./shell/Shell.vue'),
    children: [
      { path: '', component: () => import('./screens/Workbench.vue') },
      { path: 'alarms', component: () => import('./screens/Alarms.vue') },
      { path: 'alarms/:id', component: () => import('./screens/Alarm.vue'), props: true },
      { path: 'tasks', component: () => import('./screens/Tasks.vue') },
      { path: 'r/:pack/:type', component: () => import('./record/RecordList.vue'), props: true },
      { path: 'r/:pack/:type/new', component: () => import('./record/RecordForm.vue'), props: true },
      { path: 'r/:pack/:type/import', component: () => import('./record/RecordImport.vue'), props: true },
      { path: 'r/:pack/:type/:id', component: () => import('./record/RecordPage.vue'), props: true },
      { path: 'r/:pack/:type/:id/edit', component: () => import('./record/RecordForm.vue'), props: true },
      { path: 'cases/:id/why', component: () => import('./screens/Why.vue'), props: true },
      { path: 'people', redirect: '/people/users' },
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
  if (session.mustChangePassword || session.mustEnrol) return { path: '/login', query: { to: to.fullPath } }
  return true
})
