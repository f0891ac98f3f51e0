/* Fields of forms that no record type describes. */
import { fieldFrom, type Field, type Schema } from './types'

export const textField = (name: string, title: string, more: Schema = {}, required = false): Field =>
  fieldFrom(name, { type: 'string', title, ...more }, required)
export const refField = (name: string, title: string, ref: string, required = false, many = false): Field =>
  fieldFrom(name, many ? { type: 'array', title, items: { type: 'string', 'x-ref': ref } } : { type: 'string', title, 'x-ref': ref }, required)
export const boolField = (name: string, title: string, help = ''): Field => fieldFrom(name, { type: 'boolean', title, description: help }, false)
export const numberField = (name: string, title: string, more: Schema = {}): Field => fieldFrom(name, { type: 'integer', title, ...more }, false)
export const codeField = (name: string, title: string, codes: { code: string; title: string }[], required = false): Field =>
  fieldFrom(name, { type: 'string', title, 'x-codes': codes }, required)
