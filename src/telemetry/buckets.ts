/** Histogram buckets, in seconds, each fitted to what it measures. */
const minutes = 60
const hours = 60 * minutes
const days = 24 * hours

/** Answers to a person or a client. */
export const requestBuckets = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

/** Statements. */
export const databaseBuckets = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
]

/** Signatures. */
export const signingBuckets = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
]

/** Messages to other servers, retries included. */
export const deliveryBuckets = [
  0.01,
  0.05,
  0.1,
  0.5,
  1,
  5,
  10,
  1 * minutes,
  5 * minutes,
  15 * minutes,
  1 * hours,
  2 * hours,
]

/** Garbage collections. */
export const gcBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]

/** A person who fetches another device, signs in and answers: from seconds to half an hour. */
export const approvalBuckets = [
  5,
  10,
  20,
  30,
  1 * minutes,
  2 * minutes,
  5 * minutes,
  10 * minutes,
  20 * minutes,
  30 * minutes,
]

/** Browser sessions: from a glance to a month of remember-me. */
export const sessionBuckets = [
  1 * minutes,
  5 * minutes,
  15 * minutes,
  30 * minutes,
  1 * hours,
  2 * hours,
  4 * hours,
  8 * hours,
  12 * hours,
  1 * days,
  7 * days,
  30 * days,
]
