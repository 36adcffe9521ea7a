#!lua
-- Appends a batch of events to a room's log, or says why not (log protocol, rules 5 to 8).
--
-- Without flags: refused before it starts when the server is out of memory (rule 10), a replica, or cannot persist.
--
-- KEYS    meta, stream, keys 0, keys 1, dirty rooms, changed heads
-- ARGV    1 epoch, 2 known seq, 3 state seq, 4 deadline, 5 events and 6 bytes that may wait, 7 "1" for salvage,
--         8 the command that publishes, 9 the channel, 10 the beginning of the frame, 11 the room;
--         then five for each event: key ("" for none), hash of the body, id, kind ("message" or "state"), payload
-- Answer  {"OK", archived, one for each event}, {refusal} or {"EPOCH", epoch}
--         an event: "+seq at ordinal" (ordinal "-" for none), "=" and what stands under its key, "!" for a conflict
--
-- Ids, hashes and keys are eight or sixteen bytes that are never read as numbers: Lua's numbers are exact up to
-- 2^53 only. What is computed with (seqs, times, counts) stays below that.

local ROTATE_MICROS = 10 * 60 * 1000000
local FIRST_EVENT, PER_EVENT = 12, 5

-- Checks: nothing is written before all of them have passed.

local meta = redis.call('HMGET', KEYS[1], 'replid', 'epoch', 'seq', 'at', 'ordinal', 'state_seq', 'archived',
  'bytes', 'archived_bytes', 'salvage_until', 'closed', 'turn', 'turned_at', 'turned_seq', 'opened_at')
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local epoch = tonumber(ARGV[1])
local log_epoch = tonumber(meta[2])
if not replid or meta[1] ~= replid or not log_epoch or log_epoch < epoch then return {'COLD'} end
if log_epoch > epoch then return {'EPOCH', meta[2]} end

local salvage = ARGV[7] == '1'
local seq, at, ordinal = tonumber(meta[3]), tonumber(meta[4]), tonumber(meta[5])
local state_seq, archived = tonumber(meta[6]), tonumber(meta[7])
local bytes, archived_bytes = tonumber(meta[8]), tonumber(meta[9])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

if meta[11] and not salvage then return {'CLOSED'} end
if tonumber(ARGV[2]) > seq then return {'STALE'} end
-- A clock that was set back to before the window does not make it longer.
if now >= tonumber(meta[15]) and now < tonumber(meta[10]) and not salvage then return {'OPENING'} end
if tonumber(ARGV[3]) < state_seq and not salvage then return {'BEHIND'} end
if now > tonumber(ARGV[4]) then return {'EXPIRED'} end
if seq - archived >= tonumber(ARGV[5]) or bytes - archived_bytes >= tonumber(ARGV[6]) then return {'FULL'} end

-- Decides about each event.

local char, format = string.char, string.format

local function whole(number) return format('%.0f', number) end

-- A protobuf varint.
local function varint(number)
  if number < 128 then return char(number) end
  local bytes = {}
  while number >= 128 do
    local low = number % 128
    bytes[#bytes + 1] = low + 128
    number = (number - low) / 128
  end
  bytes[#bytes + 1] = number
  return char(unpack(bytes))
end

-- The varint of a time. Its upper part is the same for 16 ms, and is made once.
local upper, upper_bytes
local function time_varint(micros)
  local low = micros % 16384
  if (micros - low) / 16384 ~= upper then
    upper = (micros - low) / 16384
    upper_bytes = varint(upper)
  end
  return char(low % 128 + 128, math.floor(low / 128) + 128) .. upper_bytes
end

local keys, used = {}, {}
for i = FIRST_EVENT, #ARGV, PER_EVENT do
  if ARGV[i] ~= '' then keys[#keys + 1] = ARGV[i] end
end
if #keys > 0 then
  local recent, older = redis.call('HMGET', KEYS[3], unpack(keys)), redis.call('HMGET', KEYS[4], unpack(keys))
  for i, key in ipairs(keys) do used[key] = recent[i] or older[i] or nil end
end

local answer = {'OK', meta[7]}
local entries, frame, new_keys = {}, {ARGV[10]}, {}
local epoch_field = '\16' .. varint(epoch)
for i = FIRST_EVENT, #ARGV, PER_EVENT do
  local key, hash, id, kind, payload = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local before = key ~= '' and used[key]
  if before then
    answer[#answer + 1] = string.sub(before, 1, 8) == hash and '=' .. before or '!'
  else
    seq, at = seq + 1, math.max(now, at + 1)
    -- Protobuf reads fields in any order: the payload with its place behind it is the whole event.
    local place, event
    if kind == 'message' then
      ordinal = ordinal + 1
      place = format('%.0f %.0f %.0f', seq, at, ordinal)
      event = payload .. epoch_field .. '\24' .. varint(seq) .. '\32' .. time_varint(at) .. '\56' .. varint(ordinal)
    else
      state_seq = seq
      place = format('%.0f %.0f -', seq, at)
      event = payload .. epoch_field .. '\24' .. varint(seq) .. '\32' .. time_varint(at)
    end
    bytes = bytes + #event
    entries[#entries + 1] = {format('%s-%.0f', meta[2], seq), event, whole(bytes)}
    frame[#frame + 1] = '\42' .. varint(#event)
    frame[#frame + 1] = event
    answer[#answer + 1] = '+' .. place
    if key ~= '' then
      used[key] = hash .. id .. place
      new_keys[#new_keys + 1] = key
      new_keys[#new_keys + 1] = used[key]
    end
  end
end
if #entries == 0 then return answer end

-- Writes. The stream first: were it to fail, nothing would be written, for an error takes nothing back.

for _, entry in ipairs(entries) do
  redis.call('XADD', KEYS[2], entry[1], 'e', entry[2], 'b', entry[3])
end
redis.call('HSET', KEYS[1], 'seq', whole(seq), 'at', whole(at), 'ordinal', whole(ordinal),
  'state_seq', whole(state_seq), 'bytes', whole(bytes))
if #new_keys > 0 then
  local turn, turned_seq = tonumber(meta[12]), tonumber(meta[14])
  -- The other hash holds keys up to turned_seq: it goes only when those are kept elsewhere.
  if now - tonumber(meta[13]) >= ROTATE_MICROS and archived >= turned_seq then
    turn = 1 - turn
    redis.call('UNLINK', KEYS[3 + turn])
    redis.call('HSET', KEYS[1], 'turn', turn, 'turned_at', whole(now), 'turned_seq', meta[3])
  end
  -- In parts: Lua hands over a few thousand arguments at most, and an error here would come after the events.
  for i = 1, #new_keys, 512 do
    redis.call('HSET', KEYS[3 + turn], unpack(new_keys, i, math.min(i + 511, #new_keys)))
  end
end
redis.call('SADD', KEYS[5], ARGV[11])
redis.call('ZADD', KEYS[6], whole(now), ARGV[11])
redis.pcall(ARGV[8], ARGV[9], table.concat(frame))
return answer
