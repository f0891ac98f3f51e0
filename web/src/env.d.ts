declare module '*.vue' {
  import type { DefineComponent } from 'vue'
  const component: DefineComponent<object, object, unknown>
  export default component
}
declare module 'virtual:words/*' {
  const words: Record<string, string>
  export default words
}
declare module 'element-plus/es/locale/lang/*' {
  const locale: import('element-plus/es/locale').Language
  export default locale
}

declare module 'virtual:manual' {
  const pages: Record<import('./core/words').Lang, Record<string, string>>
  export default pages
}
