/** What Redis does in one step. A window is a hash: `n` counts, `r` refusals, and `w`, by which a refund finds it again. */

/** KEYS: windows. ARGV: an id for new ones, then the limit and the milliseconds of each. */
export const consumeScript = `
for i, key in ipairs(KEYS) do
  local n = tonumber(redis.call('hget', key, 'n') or '0')
  if n >= tonumber(ARGV[2 * i]) then
    return { i, redis.call('hincrby', key, 'r', 1), n, redis.call('pttl', key), '' }
  end
end
local answer = { 0, 0 }
for i, key in ipairs(KEYS) do
  local n = redis.call('hincrby', key, 'n', 1)
  if redis.call('hsetnx', key, 'w', ARGV[1]) == 1 then
    redis.call('pexpire', key, ARGV[2 * i + 1])
  end
  answer[#answer + 1] = n
  answer[#answer + 1] = redis.call('pttl', key)
  answer[#answer + 1] = redis.call('hget', key, 'w')
end
return answer`

/** KEYS: windows. ARGV: their ids; one that has ended meanwhile is left alone. */
export const refundScript = `
for i, key in ipairs(KEYS) do
  if redis.call('hget', key, 'w') == ARGV[i] then redis.call('hincrby', key, 'n', -1) end
end`
