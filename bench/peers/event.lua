-- What one writes instead, with lua-nginx-module: the event is made in the log
-- phase, where no socket can be opened, so a timer sends it, by a connection
-- of a pool.

local cjson = require "cjson.safe"

local _M = {}


local function post(premature, port, body)
    if premature then
        return
    end

    local sock = ngx.socket.tcp()

    sock:settimeout(5000)

    if not sock:connect("127.0.0.1", port) then
        return
    end

    sock:send({
        "POST /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        "Content-Type: application/json\r\nContent-Length: ", #body,
        "\r\n\r\n", body
    })

    local line = sock:receive("*l")

    repeat
        line = sock:receive("*l")
    until not line or line == ""

    sock:setkeepalive(10000, 64)
end


function _M.log(port)
    local var = ngx.var

    local body = cjson.encode({
        metric = "Viewed Product",
        time = ngx.time(),
        unique_id = var.request_id,
        __kla_id = var.cookie___kla_id,
        properties = {
            URL = var.scheme .. "://" .. var.host .. var.request_uri,
            Path = var.uri,
            Method = var.request_method,
            Status = ngx.status,
            Referrer = var.http_referer,
            UserAgent = var.http_user_agent,
            utm_source = var.arg_utm_source,
            ProductID = var.arg_id,
            SKU = var.arg_sku,
            ProductName = var.arg_name,
            Price = tonumber(var.arg_price),
            Quantity = tonumber(var.arg_n),
            Categories = var.arg_categories,
            InStock = var.arg_stock == "yes",
            Currency = var.cookie_currency,
            Language = var.http_accept_language,
            Host = var.host
        }
    })

    local ok, err = ngx.timer.at(0, post, port, body)

    if not ok then
        ngx.log(ngx.WARN, "no timer: ", err)
    end
end


return _M
