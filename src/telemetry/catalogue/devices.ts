/** Devices that ask for tokens, and the people who answer them (RFC 8628). */
import { deviceCodeEnds, devicePollResults } from '#/protocol/vocabulary.ts'
import { approvalBuckets } from '../buckets.ts'
import { counter, gauge, histogram } from '../series.ts'

export const devices = {
  deviceCodes: counter('oauth.device_codes', {
    unit: '{request}',
    description: 'Device authorization requests; error means that no code was issued.',
    labels: { result: ['success', 'error'] },
  }),
  deviceUserCodes: counter('authgate.device_codes.entered', {
    unit: '{code}',
    description: 'User codes entered; refused ones are wrong, used or expired.',
    labels: { result: ['found', 'refused'] },
  }),
  deviceCodesAuthorized: counter('oauth.device_codes.authorized', {
    unit: '{code}',
    description: 'Device codes approved by their users.',
  }),
  deviceCodeAuthorizationDuration: histogram('oauth.device_code.authorization.duration', {
    unit: 's',
    description: 'Time from the request for a device code to its approval.',
    buckets: approvalBuckets,
  }),
  deviceCodeValidation: counter('oauth.device_code.validation', {
    unit: '{request}',
    description: 'Token requests of devices, by result.',
    labels: { result: devicePollResults },
  }),
  deviceCodesEnded: counter('authgate.device_codes.ended', {
    unit: '{code}',
    description:
      'Device codes that ended, by outcome; an approval revoked before it was used counts as denied.',
    labels: { result: deviceCodeEnds },
  }),
  deviceCodesActive: gauge('oauth.device_codes.active', {
    unit: '{code}',
    description: 'Device codes that can still lead to tokens, approved ones included.',
  }),
  deviceCodesPending: gauge('oauth.device_codes.pending_authorization', {
    unit: '{code}',
    description: 'Device codes that are pending a decision.',
  }),
}
