#!lua flags=no-writes
-- Reads which rooms of some shards have changed since a time of each (log protocol, rule 25).
--
-- KEYS    changed heads of each shard
-- ARGV    1 rooms of a shard at most; then for each shard the time, "" for its newest change alone
-- Answer  for each shard {room, when, room, when, ..}, the oldest change first

local answer = {}
for i, key in ipairs(KEYS) do
  local known = ARGV[i + 1]
  if known == '' then
    answer[i] = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  else
    answer[i] = redis.call('ZRANGE', key, '(' .. known, '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[1], 'WITHSCORES')
  end
end
return answer
