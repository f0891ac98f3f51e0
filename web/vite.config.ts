import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import Components from 'unplugin-vue-components/vite'
import { ElementPlusResolver } from 'unplugin-vue-components/resolvers'
import { defineConfig, type Plugin } from 'vite'
import { manual } from './manual'

const root = fileURLToPath(new URL('..', import.meta.url))

/* `virtual:words/zh-CN` and `virtual:words/en`: the page's own words (keys `ui.*`), so that the login
 * page can speak before anybody is logged in.  All others come from the server. */
function words(): Plugin {
  const prefix = 'virtual:words/'
  return {
    name: 'words',
    resolveId: (id) => (id.startsWith(prefix) ? '\0' + id : undefined),
    load(id) {
      if (!id.startsWith('\0' + prefix)) return
      const file = `${root}/words/${id.slice(prefix.length + 1)}.json`
      this.addWatchFile(file)
      const all = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>
      return `export default ${JSON.stringify(Object.fromEntries(Object.entries(all).filter(([key]) => key.startsWith('ui.'))))}`
    },
  }
}

export default defineConfig({
  plugins: [
    vue(),
    words(),
    manual(`${root}/docs/manual`),
    Components({ dirs: [], dts: false, resolvers: [ElementPlusResolver({ importStyle: 'css' })] }),
  ],
  resolve: { alias: { '@': fileURLToPath(new URL('src', import.meta.url)) } },
  build: { target: 'es2022', assetsInlineLimit: 0, chunkSizeWarningLimit: 900, reportCompressedSize: false },
  server: {
    port: Number(process.env.PORT ?? 5173),
    host: '127.0.0.1',
    proxy: { '/api': { target: process.env.API ?? 'http://127.0.0.1:5180', changeOrigin: false } },
  },
})
