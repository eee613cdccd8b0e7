import { AppError } from '#kernel/errors.ts'

const ERRORS_SHOWN_MAX = 10

interface SchemaError {
  readonly keyword: string
  readonly instancePath: string
  readonly message: string
  readonly params: Readonly<Record<string, unknown>>
}

/** One thing that is wrong, as a refusal lists it in `errors`. */
export interface FieldError {
  readonly path: string
  readonly message: string
}

/** Refuses what does not fit its schema: names each field, as a path that begins with the part that was looked at. */
export function refusalOf(part: string, found: readonly SchemaError[]): AppError {
  const errors: FieldError[] = found.slice(0, ERRORS_SHOWN_MAX).map((error) => ({
    path: `${part}${error.instancePath}`,
    message: wordsFor(error)
  }))
  const [first] = errors
  const detail = first ? `${first.path} ${first.message}` : `The ${part} is not valid`
  return new AppError('invalid_request', detail, { errors })
}

/** What the schema's own words leave unsaid: which field, which values. */
function wordsFor({ keyword, params, message }: SchemaError): string {
  const list = (values: unknown) => (values as unknown[]).join(', ')
  switch (keyword) {
    // A schema says `false` of a field that it does not have.
    case 'boolean':
      return 'is not a field that we know'
    case 'required':
      return `lacks ${list(params['requiredProperties'])}`
    case 'enum':
      return `must be one of ${list(params['allowedValues'])}`
    default:
      return message
  }
}
