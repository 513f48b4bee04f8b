/** The OpenTelemetry resource of every metric and span. */
import { defaultResource, type Resource, resourceFromAttributes } from '@opentelemetry/resources'

export interface ServiceIdentity {
  readonly serviceName: string
  readonly serviceVersion: string
  /** Tells replicas apart. */
  readonly instanceId: string
  /** What the operator adds; may name another version or instance. */
  readonly resourceAttributes?: Readonly<Record<string, string>>
}

export const createResource = (service: ServiceIdentity): Resource =>
  defaultResource().merge(
    resourceFromAttributes({
      'service.version': service.serviceVersion,
      'service.instance.id': service.instanceId,
      ...service.resourceAttributes,
      'service.name': service.serviceName,
    }),
  )
