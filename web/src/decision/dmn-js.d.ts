/* dmn-js brings no types; only what the page uses. */
declare module 'dmn-js/lib/Modeler' {
  export default class DmnModeler {
    constructor(options: unknown)
    importXML(xml: string): Promise<{ warnings: unknown[] }>
    saveXML(options: { format: boolean }): Promise<{ xml: string }>
    getViews(): unknown[]
    open(view: unknown): Promise<unknown>
    getActiveViewer(): { on(event: string, fn: () => void): void } | null
    on<T>(event: string, fn: (event: T) => void): void
    destroy(): void
  }
}
declare module 'dmn-js/lib/NavigatedViewer' {
  export { default } from 'dmn-js/lib/Modeler'
}
