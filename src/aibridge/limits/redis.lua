-- Everything that is counted in Redis or Valkey, in one script: what it reads and writes, nothing comes between.
--
-- ARGV[1] is a request and the reply is an answer, both as MessagePack; `redis_script.py` has their shapes. All times
-- are microseconds of this server's clock: no replica's clock has a say. Every key expires by itself when forgetting
-- it changes no later decision.

local call = redis.call
local request = cmsgpack.unpack(ARGV[1])
local prefix, replica, lease, seen, beat, leases, charges, settles, trips, takes, reads = unpack(request)
local time = call('TIME')
local now = time[1] * 1000000 + time[2]

local function whole(number)
  return string.format('%.0f', number)
end

-- Milliseconds of life for what matters for this many microseconds more.
local function life(microseconds)
  return whole(math.max(1, math.ceil(microseconds / 1000) + 1))
end

-- An ask is {kind, key, cost, shadow, a, b, c}. Each kind can
--   look(ask): nothing where it may be taken; else what is used, and the wait;
--   take(ask, at): count it at this instant, allowed or not;
--   settle(key, difference, ...): correct what was taken;
--   read(key, a, b, c): what is used now.

-- An exact window: a list of places, each with the instant at which the last of its calls came. `a` is how many
-- places, `b` how many calls share one, `c` the window. A shared place is written "instant:calls".
local window = {}

local function place(key, index)
  local text = call('LINDEX', key, index)
  if not text then
    return nil, 0
  end
  local at, calls = string.match(text, '^(%d+):?(%d*)$')
  return tonumber(at), tonumber(calls) or 1
end

local function written(at, calls, size)
  if size == 1 then
    return whole(at)
  end
  return whole(at) .. ':' .. whole(calls)
end

-- Whether no call of a list that ends at `last` counts any more. A list from far in the future is another clock's
-- (a primary that took over with a clock behind), and would refuse until that future comes.
local function over(last, at, length)
  return at - last >= length or last - at > length
end

function window.look(ask)
  local key, places, size, length = ask[2], ask[5], ask[6], ask[7]
  local last, calls = place(key, -1)
  if not last or calls < size or over(last, now, length) then
    return
  end
  local filled = call('LLEN', key)
  if filled < places then
    return
  end
  if filled > places then -- the rule allowed more when these came
    call('LTRIM', key, -places, -1)
  end
  local free_at = place(key, 0) + length
  if now < free_at then
    return places * size, free_at - now
  end
end

function window.take(ask, at)
  local key, places, size, length = ask[2], ask[5], ask[6], ask[7]
  if over(at, now, length) then
    return
  end
  local last, calls = place(key, -1)
  if last and over(last, at, length) then
    call('DEL', key)
    last = nil
  end
  if last and at < last then
    at = last
  end
  if last and calls < size then
    call('LSET', key, -1, written(at, calls + 1, size))
  elseif call('RPUSH', key, written(at, 1, size)) > places then
    call('LPOP', key)
  end
  call('PEXPIRE', key, life(at + length - now))
end

-- A call that turned out not to count. Of places that are shared none is freed: which of the calls left is not known.
function window.settle(key, difference, at)
  if difference < 0 then
    call('LREM', key, -1, whole(at))
  end
end

-- The places that still count are the last ones: their first is found by halves.
function window.read(key, _, size, length)
  local last, calls = place(key, -1)
  if not last or over(last, now, length) then
    return 0
  end
  local first, places = 0, call('LLEN', key)
  local beyond = places - 1
  while first < beyond do
    local middle = math.floor((first + beyond) / 2)
    if now - place(key, middle) < length then
      beyond = middle
    else
      first = middle + 1
    end
  end
  return (places - 1 - first) * size + calls
end

-- The generic cell rate algorithm, as a busy period: "since spent". `a` is the burst, `b` the rate per microsecond.
local gcra = {}

local function period(key)
  local text = call('GET', key)
  if not text then
    return 0, 0
  end
  local since, spent = string.match(text, '^(%S+) (%S+)$')
  return math.min(tonumber(since), now), tonumber(spent)
end

-- It lives a lease longer than it matters to those who ask: a replica that could not may say late what it took since.
local function spend(key, since, spent, rate)
  local value = string.format('%.17g %.17g', since, spent)
  call('SET', key, value, 'PX', life(since + spent / rate - now + lease))
end

function gcra.look(ask)
  local key, burst, rate = ask[2], ask[5], ask[6]
  local since, spent = period(key)
  if now >= since + spent / rate then
    return
  end
  local excess = spent + ask[3] - burst
  if excess > 0 and now < since + excess / rate then
    if since == now then -- a clock that stepped back, and must not stand still with it
      spend(key, since, spent, rate)
    end
    return spent - (now - since) * rate, math.ceil(since + excess / rate - now)
  end
end

function gcra.take(ask, at)
  local key, cost, rate = ask[2], ask[3], ask[6]
  local since, spent = period(key)
  if at >= since + spent / rate then
    since, spent = at, 0
  end
  spend(key, since, spent + cost, rate)
end

function gcra.settle(key, difference, _, rate)
  local since, spent = period(key)
  if now >= since + spent / rate then
    since, spent = now, 0
  end
  spend(key, since, math.max(0, spent + difference), rate)
end

function gcra.read(key, _, rate)
  local since, spent = period(key)
  return math.max(0, spent - (now - since) * rate)
end

-- What is held: leases by the instant at which they end, unless renewed. `a` is how many, `b` this call's lease, `c` 1
-- where callers may wait.
local held = {}

-- Who waits for what is held: replicas, each with the instants since when the first in its queue has waited, and at
-- which it last asked. Whoever has not asked for so long waits no more. `since` is that of the call that is decided.
-- A replica that gives a permit back would else be the first to ask for it, each time; and since all go by the same
-- instants wherever they wait, whoever has waited for longest is never kept waiting by another, unless it lacks several
-- things at once: then it stands in no line, and has the chance of a newcomer.
local silence, since = 100000, nil

local function line_of(key)
  return prefix .. 'line:' .. string.sub(key, #prefix + 1)
end

local function waits(text)
  local first, asked = string.match(text or '', '^(%d+) (%d+)$')
  return asked and now >= tonumber(asked) and now - asked < silence and tonumber(first)
end

-- How many other replicas have waited for longer.
local function before(key)
  local line, longer = call('HGETALL', line_of(key)), 0
  for index = 1, #line, 2 do
    local theirs = line[index] ~= replica and waits(line[index + 1])
    if theirs and theirs < (since or now) then
      longer = longer + 1
    end
  end
  return longer
end

local function stand(key)
  call('HSET', line_of(key), replica, whole(since or now) .. ' ' .. whole(now))
  call('PEXPIRE', line_of(key), life(silence))
end

local function lend(key, name)
  call('ZADD', key, now + lease, name)
  call('PEXPIRE', key, life(lease))
end

function held.look(ask)
  local key = ask[2]
  call('ZREMRANGEBYSCORE', key, '-inf', now)
  local used = call('ZCARD', key)
  if used >= ask[5] or (ask[7] == 1 and used + before(key) >= ask[5]) then
    return used, 0
  end
end

function held.take(ask)
  lend(ask[2], ask[6])
  if ask[7] == 1 then
    call('HDEL', line_of(ask[2]), replica)
  end
end

function held.settle(key, _, name)
  call('ZREM', key, name)
end

function held.read(key)
  return call('ZCOUNT', key, '(' .. whole(now), '+inf')
end

-- Breakers by the instant at which their break ends or has ended; for closed ones, less than nothing: when they closed.
-- `news` is when one last changed its state. What has not changed for a day is forgotten.
local board, day = prefix .. 'breakers', 86400e6

-- A breaker opens for this long, or closes. Who probed it before has no say any more.
local function change(breaker, length)
  call('DEL', prefix .. 'probes:' .. breaker)
  call('ZREMRANGEBYSCORE', board, day - now, now - day)
  call('ZADD', board, length > 0 and now + length or -now, breaker)
  call('PEXPIRE', board, life(day))
  call('SET', board .. ':news', whole(now), 'PX', life(day))
end

-- The probes of a half-open breaker by the instants at which their leases end; those that succeeded by 0. `a` is how
-- many may be out, `b` the name of this one, which begins with its replica's, `c` its lease.
local probe = {}

-- Whether the replica that sent a probe is among the living; if not, its place is free before its lease ends.
local function lives(name)
  local ends = call('ZSCORE', prefix .. 'replicas', string.match(name, '^[^:]*'))
  return ends and tonumber(ends) > now
end

-- The wait is a guess: the oldest may need as long again as it has taken, but at least a second.
function probe.look(ask)
  local key, places, length = ask[2], ask[5], ask[7]
  local out = call('ZRANGEBYSCORE', key, '(' .. whole(now), whole(now + length), 'WITHSCORES')
  local used, oldest = 0, nil
  for index = 1, #out, 2 do
    if lives(out[index]) then
      used = used + 1
      oldest = oldest or tonumber(out[index + 1])
    end
  end
  if used >= places then
    return used, math.min(oldest - now, math.max(now - (oldest - length), 1000000))
  end
end

function probe.take(ask)
  call('ZADD', ask[2], now + ask[7], ask[6])
  call('PEXPIRE', ask[2], life(day))
end

-- One whose lease has ended is still there, and has a say until the breaker changes its state.
function probe.settle(key, succeeded, name, places)
  local ends = tonumber(call('ZSCORE', key, name) or 0)
  if ends == 0 then
    return
  end
  if succeeded == 0 then
    call('ZREM', key, name)
    return
  end
  call('ZADD', key, 0, name)
  if call('ZCOUNT', key, 0, 0) >= places then
    change(string.sub(key, #prefix + #'probes:' + 1), 0)
  end
end

local kinds = {window, gcra, held, probe}

local function queued(ask)
  return kinds[ask[1]] == held and ask[7] == 1
end

-- Since when this replica has waited for any of these.
local function waited(asks)
  local longest
  for _, ask in ipairs(asks) do
    local this = queued(ask) and waits(call('HGET', line_of(ask[2]), replica))
    if this and this < (longest or now) then
      longest = this
    end
  end
  return longest
end

-- If all that a call lacks is held, and may be waited for, it waits. But who lacks two things that are all taken could
-- not use either if it came free, and is in nobody's way.
local function wait(asks, refused)
  local taken = 0
  for _, no in ipairs(refused) do
    local ask = asks[no[1] + 1]
    if not queued(ask) then
      return
    end
    if no[2] >= ask[5] then
      taken = taken + 1
    end
  end
  if taken > 1 then
    return
  end
  for _, no in ipairs(refused) do
    stand(asks[no[1] + 1][2])
  end
end

-- All that a call asks for, or nothing. Asks are named by their place, from 0.
local function decide(asks)
  local refused, shadows, granted = {}, {}, {}
  since = waited(asks)
  for index, ask in ipairs(asks) do
    local used, time_left = kinds[ask[1]].look(ask)
    if not used then
      granted[#granted + 1] = ask
    elseif ask[4] then
      shadows[#shadows + 1] = index - 1
    else
      refused[#refused + 1] = {index - 1, used, time_left}
    end
  end
  if #refused == 0 then
    for _, ask in ipairs(granted) do
      kinds[ask[1]].take(ask, now)
    end
  else
    wait(asks, refused)
  end
  return {now, refused, shadows}
end

-- Who is alive, by the same leases; the first word of a replica that was unknown is answered with `fresh`.
local alive, fresh = 0, false
if beat then
  local key = prefix .. 'replicas'
  call('ZREMRANGEBYSCORE', key, '-inf', now)
  fresh = call('ZADD', key, now + lease, replica) == 1
  call('PEXPIRE', key, life(lease))
  alive = call('ZCARD', key)
end

for _, entry in ipairs(leases) do
  lend(entry[1], entry[2])
end
for _, charge in ipairs(charges) do
  kinds[charge[2][1]].take(charge[2], now - charge[1])
end
for _, settled in ipairs(settles) do
  kinds[settled[1]].settle(unpack(settled, 2))
end

for _, trip in ipairs(trips) do
  change(unpack(trip))
end
local news = tonumber(call('GET', board .. ':news') or 0)
local breakers = {}
if news ~= seen and news > 0 then
  local names = call('ZRANGE', board, 0, -1, 'WITHSCORES')
  for index = 1, #names, 2 do
    local ends = tonumber(names[index + 1])
    local left = 0 -- closed
    if ends > 0 then
      left = ends ~= now and ends - now or -1
    end
    breakers[#breakers + 1] = {names[index], left}
  end
end

local decisions = {}
for index, asks in ipairs(takes) do
  decisions[index] = decide(asks)
end
local used = {}
for index, ask in ipairs(reads) do
  used[index] = kinds[ask[1]].read(unpack(ask, 2))
end

return cmsgpack.pack({alive, fresh, news, breakers, decisions, used})
