#!lua flags=allow-oom
-- Gives back the lease of a node, if this life of it has it.
--
-- KEYS    ends of leases by node, what leases say
-- ARGV    1 node, 2 life
-- Answer  {"OK"}

if redis.call('HGET', KEYS[2], ARGV[1] .. ':life') == ARGV[2] then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1], ARGV[1] .. ':life')
end
return {'OK'}
