/**
 * One script a decision. Each has one key, so that a cluster finds its node, and takes the time from the server, so that
 * the clocks of gateways do not matter. A server whose clock is set back finds ends too far in the future: what is left
 * of a window or a bucket is never taken for longer than it can be.
 *
 * Numbers go out as integers, since Redis cuts off what comes after the point.
 */

/** limit, window in ms, cost, kind -> granted, count, ms until the window ends */
const acquire = `
local limit, window, cost, kind = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local rest = redis.call('PTTL', KEYS[1])
local count = 0
if rest > 0 then count = tonumber(redis.call('GET', KEYS[1]) or '0') end
if rest > window then
  rest = window
  redis.call('PEXPIRE', KEYS[1], window)
end
local granted = cost
if kind ~= 'forced' and count + cost > limit then
  granted = 0
  if kind == 'some' and limit > count then granted = limit - count end
end
if rest <= 0 then
  rest = window
  if granted > 0 or kind == 'forced' then redis.call('SET', KEYS[1], granted, 'PX', window) end
elseif granted > 0 then
  redis.call('INCRBY', KEYS[1], granted)
end
return {granted, count + granted, rest}`

/** limit, window in ms, cost -> granted, count, count of the span before, ms until this span ends */
const slide = `
local limit, window, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local span = math.floor(now / window)
local rest = (span + 1) * window - now
local this, before = string.format('%.0f', span), string.format('%.0f', span - 1)
local found = redis.call('HMGET', KEYS[1], this, before)
local count = tonumber(found[1] or '0')
local last = math.min(tonumber(found[2] or '0'), limit)
if count >= limit or count + last * rest / window >= limit then return {0, count, last, rest} end
if cost > 0 then
  if not found[1] then
    for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
      if field ~= before then redis.call('HDEL', KEYS[1], field) end
    end
  end
  redis.call('HINCRBY', KEYS[1], this, cost)
  redis.call('PEXPIRE', KEYS[1], 2 * window)
end
return {cost, count + cost, last, rest}`

/** us that one cost takes to drain, us that the burst takes, cost -> 1 and us to wait, or 0 and us until there is room */
const leak = `
local unit, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local wait = math.max(0, tonumber(redis.call('GET', KEYS[1]) or '0') - now)
wait = math.min(wait, burst + unit * math.max(cost, 1))
local excess = wait - burst
if excess > 0.5 then return {0, math.ceil(excess)} end
if cost > 0 then
  local full = wait + cost * unit
  redis.call('SET', KEYS[1], string.format('%.0f', now + full), 'PX', math.ceil(full / 1000) + 1)
end
return {1, math.floor(wait)}`

/** limit, ms that a request counts at most, its id -> how many are under way, or 0 */
const enter = `
local limit, ttl, id = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now + ttl), '+inf')
local count = redis.call('ZCARD', KEYS[1])
if count >= limit then return 0 end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ttl), id)
redis.call('PEXPIRE', KEYS[1], ttl)
return count + 1`

/** As commands of the client, which sends their sha and the text only to a server that does not know it. */
export const scripts = {
  sluiceAcquire: { numberOfKeys: 1, lua: acquire },
  sluiceSlide: { numberOfKeys: 1, lua: slide },
  sluiceLeak: { numberOfKeys: 1, lua: leak },
  sluiceEnter: { numberOfKeys: 1, lua: enter },
}

export type ScriptName = keyof typeof scripts
