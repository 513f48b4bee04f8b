/** What signs our tokens, and when that changes. */
import { signingAlgorithms, signingKeyEvents } from '#/protocol/vocabulary.ts'
import { counter, gauge } from '../series.ts'

export const keys = {
  signingKeyEvents: counter('authgate.signing_keys.events', {
    unit: '{key}',
    description:
      'Signing keys published, retired (their successor signs), deleted after their last token expired, and resealed under a newer SESSION_SECRET.',
    labels: { event: signingKeyEvents },
  }),
  signingKeyAge: gauge('authgate.signing_key.age', {
    unit: 's',
    description: 'Time since the current signing key became active.',
    labels: { algorithm: signingAlgorithms },
  }),
  signingKeyNextRotation: gauge('authgate.signing_key.next_rotation', {
    unit: 's',
    description: 'Time until the next key takes over; negative when that is overdue.',
    labels: { algorithm: signingAlgorithms },
  }),
  signingKeyNextPublication: gauge('authgate.signing_key.next_publication', {
    unit: 's',
    description: 'Time until the next key has to be published; negative when that is overdue.',
    labels: { algorithm: signingAlgorithms },
  }),
}
