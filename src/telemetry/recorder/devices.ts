/** Devices that ask for tokens, and the people who answer them (RFC 8628). */
import type { DeviceCodeEnd, DevicePollResult } from '#/protocol/vocabulary.ts'
import { catalogue } from '../catalogue.ts'
import { createCounter, createHistogram, type Instruments } from '../instruments.ts'

export function devices(instruments: Instruments) {
  const requested = createCounter(instruments, catalogue.deviceCodes)
  const entered = createCounter(instruments, catalogue.deviceUserCodes)
  const authorized = createCounter(instruments, catalogue.deviceCodesAuthorized)
  const approvalTimes = createHistogram(instruments, catalogue.deviceCodeAuthorizationDuration)
  const polled = createCounter(instruments, catalogue.deviceCodeValidation)
  const ended = createCounter(instruments, catalogue.deviceCodesEnded)
  return {
    /** A device asked for a code. */
    deviceCodeRequested(result: 'success' | 'error'): void {
      requested({ result })
    },
    /** A person entered a user code. */
    userCodeEntered(result: 'found' | 'refused'): void {
      entered({ result })
    },
    /** A user approved a device code, so long after it was asked for. */
    deviceCodeAuthorized(seconds: number): void {
      authorized({})
      approvalTimes({}, seconds)
    },
    /** A device asked for its tokens. */
    deviceCodePolled(result: DevicePollResult): void {
      polled({ result })
    },
    /** Device codes ended: as many rows as really changed. */
    deviceCodesEnded(result: DeviceCodeEnd, count: number): void {
      ended({ result }, count)
    },
  }
}
