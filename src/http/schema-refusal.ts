import { AppError } from '#kernel/errors.ts'
import { VISIBLE } from '#kernel/text.ts'

const ERRORS_SHOWN_MAX = 10

interface SchemaError {
  readonly keyword: string
  readonly instancePath: string
  readonly message: string
  readonly params: Readonly<Record<string, unknown>>
}

/** One invalid field, as a refusal lists it in `errors`. */
export interface FieldError {
  readonly path: string
  readonly message: string
}

/** An `invalid_request` refusal that lists each invalid field by its path; the path begins with the part. */
export function refusalOf(part: string, found: readonly SchemaError[]): AppError {
  const errors: FieldError[] = found.slice(0, ERRORS_SHOWN_MAX).map((error) => ({
    path: `${part}${error.instancePath}`,
    message: messageFor(error)
  }))
  const [first] = errors
  const detail = first ? `${first.path} ${first.message}` : `The ${part} is invalid`
  return new AppError('invalid_request', detail, { errors })
}

/** Adds field names and allowed values to the messages of the validator. */
function messageFor({ keyword, params, message }: SchemaError): string {
  const list = (values: unknown) => (values as unknown[]).join(', ')
  switch (keyword) {
    // The error of `additionalProperties: false`.
    case 'boolean':
      return 'is not a known field'
    case 'required':
      return `is missing ${list(params['requiredProperties'])}`
    case 'enum':
      return `must be one of ${list(params['allowedValues'])}`
    case 'pattern':
      return String(params['pattern']).includes(VISIBLE) ? 'must have a visible character' : message
    default:
      return message
  }
}
