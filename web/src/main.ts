import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { whenSignedOut } from './core/api'
import { stopNews } from './core/events'
import { prefs } from './core/prefs'
import { useSession } from './core/session'
import { useLang } from './core/words'
import { router } from './router'
import './style/tokens.css'
import './style/base.css'
import './style/print.css'

const app = createApp(App)
app.use(createPinia())

whenSignedOut(() => {
  const session = useSession()
  if (!session.user) return
  session.forget()
  stopNews()
  void router.replace({ path: '/login', query: { to: router.currentRoute.value.fullPath } })
})

const wanted = prefs.lang || (navigator.language.toLowerCase().startsWith('en') ? 'en' : 'zh-CN')
void useLang(wanted).then(() => {
  app.use(router)
  app.mount('#app')
})
