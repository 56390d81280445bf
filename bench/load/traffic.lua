-- The traffic of every scenario: no two requests carry the same bytes.
-- Arguments: key=value, see `parse`. Strings are made in advance and joined, so that wrk stays cheaper than what it measures.

local settings = { method = 'GET', target = 'users', body = '0', routes = '0', hosts = '0', close = 'no', credentials = '', host = '', path = '', fields = '', content = '', type = '' }
local targets, tails = {}, {}
-- Where routes are spread over hosts: the line for each, and then no other in the tails.
local hosts = {}
local hex = {}
local trace, span = '', ''
local count, start = 0, 0
local body = ''

local function parse(args)
  for _, argument in ipairs(args) do
    local key, value = argument:match('^(%w+)=(.*)$')
    if not key or settings[key] == nil then error('unknown argument: ' .. argument) end
    settings[key] = value
  end
end

-- The whole of a file; nothing for no path.
local function content_of(path)
  if path == '' then return '' end
  local file = assert(io.open(path, 'rb'))
  local content = file:read('*a')
  file:close()
  return content
end

-- Must name the routes as routePattern() in work.ts does: even ones are prefixes, odd ones exact.
local function routed(index)
  local service = '/api/team-' .. (index % 50) .. '/service-' .. index
  if index % 2 == 0 then return service .. '/orders/17' end
  return service
end

local function build_targets()
  local routes = tonumber(settings.routes)
  if routes > 0 then
    for index = 0, routes - 1 do targets[index + 1] = settings.method .. ' ' .. routed(index) .. '?cursor=' end
  elseif settings.path ~= '' then
    targets[1] = settings.method .. ' ' .. settings.path .. '?cursor='
  elseif settings.target == 'object' then
    targets[1] = settings.method .. ' /files/object-1m.bin?cursor='
  else
    for user = 1, 1024 do targets[user] = settings.method .. ' /api/users/' .. user * 7 .. '/orders?cursor=' end
  end
end

-- Everything between the request line and the trace id, once for each client application.
local function build_tails()
  for host = 0, tonumber(settings.hosts) - 1 do hosts[host + 1] = ' HTTP/1.1\r\nHost: api-' .. host .. '.example.com' end
  local line = #hosts > 0 and '' or ' HTTP/1.1\r\nHost: ' .. settings.host
  local common = line .. '\r\nUser-Agent: orders-client/2.1\r\nAccept: application/json\r\n'
  if settings.close == 'yes' then common = common .. 'Connection: close\r\n' end
  local length = tonumber(settings.body)
  if length > 0 then
    common = common .. 'Content-Type: application/json\r\nContent-Length: ' .. length .. '\r\n'
    body = '{"note":"' .. string.rep('x', length - 11) .. '"}'
  end
  if settings.content ~= '' then
    body = content_of(settings.content)
    common = common .. 'Content-Type: ' .. settings.type .. '\r\nContent-Length: ' .. #body .. '\r\n'
  end
  common = common .. content_of(settings.fields)
  if settings.credentials == '' then
    tails[1] = common .. 'traceparent: 00-'
    return
  end
  for line in io.lines(settings.credentials) do
    local origin = 'Origin: https://app-' .. #tails .. '.example.com\r\n'
    tails[#tails + 1] = common .. line .. '\r\n' .. origin .. 'traceparent: 00-'
  end
end

function init(args)
  parse(args)
  math.randomseed(os.time())
  for number = 0, 4095 do hex[number] = string.format('%03x', number) end
  for _ = 1, 5 do trace = trace .. string.format('%04x', math.random(0, 65535)) end
  span = string.format('%04x%04x%02x', math.random(0, 65535), math.random(0, 65535), math.random(1, 255))
  start = math.random(0, 1000000)
  build_targets()
  build_tails()
end

function request()
  count = count + 1
  local low, high = hex[count % 4096], hex[math.floor(count / 4096) % 4096]
  local index = (start + count * 7919) % #targets
  local target = targets[index + 1]
  local tail = tails[count % #tails + 1]
  local ids = trace .. hex[(count * 31) % 4096] .. '000' .. high .. low .. '-' .. span .. high .. low .. '-01\r\n\r\n'
  if #hosts > 0 then return target .. high .. low .. hosts[index % #hosts + 1] .. tail .. ids .. body end
  return target .. high .. low .. tail .. ids .. body
end
