# ngx_http_klaviyo_module: `make help` lists what there is.

NGINX_SRC    ?= /usr/share/nginx/src
NGINX        ?= $(firstword $(wildcard /usr/sbin/nginx) nginx)
MODULES_PATH ?= /usr/lib/nginx/modules
PROVE        ?= prove

BUILD_DEPS    = build-essential nginx nginx-dev libcurl4-openssl-dev \
                libjansson-dev libssl-dev ca-certificates
TEST_DEPS     = perl libmojolicious-perl libio-socket-ssl-perl \
                openssl curl nghttp2-client clang libclang-rt-dev gdb
DEPS          = $(BUILD_DEPS) $(TEST_DEPS)

# Ours alone: nginx's own flags come from its configure.
CFLAGS_MODULE = -Wall -Wextra -Werror

MODULE        = objs/ngx_http_klaviyo_module.so
NGINX_BUILD   = $(CURDIR)/objs/nginx

SOURCES       = $(wildcard ngx_klaviyo_module/*.c ngx_klaviyo_module/*/*.c)
HEADERS       = $(wildcard ngx_klaviyo_module/*.h ngx_klaviyo_module/*/*.h)

PLAIN_SOURCES = $(wildcard ngx_klaviyo_module/*/klaviyo_*.c)
UNIT_TESTS    = $(patsubst t/unit/%.c,objs/unit/%,$(wildcard t/unit/*_test.c))

CFLAGS_UNIT   = -g -O2 -Wall -Wextra -Werror -Ingx_klaviyo_module -It/unit
LIBS_UNIT     = -ljansson -lpthread

FUZZERS       = $(patsubst t/fuzz/%.c,objs/fuzz/%,$(wildcard t/fuzz/*_fuzz.c))
FUZZ_TIME    ?= 60
CC_FUZZ      ?= clang
CFLAGS_FUZZ   = -g -O1 -Wall -Wextra -Werror -Ingx_klaviyo_module \
                -fsanitize=fuzzer,address,undefined \
                -fno-sanitize-recover=undefined


$(if $(word 2,$(CURDIR)),$(error the path of this folder has a blank in it, \
  which nginx's ./configure does not take))

.DELETE_ON_ERROR:
.PHONY: all help deps unit fuzzers fuzz test demo install clean

all: $(MODULE)

help:
	@echo 'make              builds $(MODULE)'
	@echo 'make deps         installs with apt what is missing'
	@echo 'make demo         a shop, the module, and a Klaviyo to talk to'
	@echo 'make demo ONCE=1  the same by itself: 0 if every event arrived'
	@echo 'make test         runs every test'
	@echo 'make fuzz         runs each fuzzer for FUZZ_TIME=$(FUZZ_TIME) seconds'
	@echo 'make install      installs the module for nginx to load'
	@echo 'make clean        removes what was built'
	@echo
	@echo 'NGINX_SRC=$(NGINX_SRC)  the source of the nginx to build for'
	@echo 'NGINX=$(NGINX)  the nginx to test with'


# apt is asked only when something is missing

deps:
	@missing=; \
	for p in $(DEPS); do \
	    dpkg-query -W -f '$${Status}' $$p 2>/dev/null \
	        | grep -q 'ok installed' || missing="$$missing $$p"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	echo "installing:$$missing"; \
	$$sudo apt-get -q update \
	    && $$sudo env DEBIAN_FRONTEND=noninteractive \
	       apt-get -q -y --no-install-recommends install $$missing


# Debian's nginx-dev tells the flags of Debian's nginx; a module must be built
# with the same ones.  Another source: NGINX_CONF_FLAGS, as for its configure.

# A folder is newer than the recipe when a source came or went.

$(NGINX_BUILD)/Makefile: config $(wildcard ngx_klaviyo_module/*/.)
	@mkdir -p $(NGINX_BUILD)
	@test -x $(NGINX_SRC)/configure || { \
	    echo 'no nginx source in $(NGINX_SRC): run "make deps" or set' \
	         'NGINX_SRC' >&2; exit 1; }
	@cd $(NGINX_SRC) && bash -c ' \
	    NGX_CONF_FLAGS=(--with-compat); \
	    if [ -f ./conf_flags ]; then . ./conf_flags; fi; \
	    ./configure --builddir=$(NGINX_BUILD) "$${NGX_CONF_FLAGS[@]}" \
	        $(NGINX_CONF_FLAGS) \
	        --add-dynamic-module=$(CURDIR)' \
	    > $(NGINX_BUILD).log 2>&1 || { \
	    grep -A3 'error:' $(NGINX_BUILD).log >&2 \
	        || tail -n 20 $(NGINX_BUILD).log >&2; \
	    rm -f $@; exit 1; }

$(MODULE): $(NGINX_BUILD)/Makefile $(SOURCES) $(HEADERS)
	@cd $(NGINX_SRC) && $(MAKE) --no-print-directory -s \
	    -f $(NGINX_BUILD)/Makefile modules \
	    CFLAGS="$$(sed -n 's/^CFLAGS = *//p' $(NGINX_BUILD)/Makefile) \
	            $(CFLAGS_MODULE) $(CFLAGS)"
	@cp $(NGINX_BUILD)/ngx_http_klaviyo_module.so $@
	@echo 'built $@'


unit: $(UNIT_TESTS)

objs/unit/%: t/unit/%.c $(wildcard t/unit/*.h) $(PLAIN_SOURCES) $(HEADERS)
	@mkdir -p objs/unit
	@$(CC) $(CFLAGS_UNIT) $(CFLAGS) -o $@ $< $(PLAIN_SOURCES) $(LIBS_UNIT)


# What a run finds anew stays in objs/fuzz, what broke it in objs/fuzz too.

fuzzers: $(FUZZERS)

objs/fuzz/%: t/fuzz/%.c $(PLAIN_SOURCES) $(HEADERS)
	@mkdir -p objs/fuzz
	@$(CC_FUZZ) $(CFLAGS_FUZZ) -o $@ $< $(PLAIN_SOURCES) $(LIBS_UNIT)

fuzz: fuzzers
	@for f in $(FUZZERS); do \
	    name=$$(basename $$f _fuzz); \
	    echo "$$name: $(FUZZ_TIME) s"; \
	    mkdir -p objs/fuzz/corpus/$$name; \
	    $$f -max_total_time=$(FUZZ_TIME) -max_len=4096 -timeout=5 \
	        -print_final_stats=1 -artifact_prefix=objs/fuzz/ \
	        objs/fuzz/corpus/$$name t/fuzz/seeds/$$name \
	        > objs/fuzz/$$name.log 2>&1 || { \
	        cat objs/fuzz/$$name.log >&2; exit 1; }; \
	    tail -n 6 objs/fuzz/$$name.log; \
	done


test: deps
	@$(MAKE) --no-print-directory all unit fuzzers
	@KLAVIYO_NGINX=$(NGINX) $(PROVE) -Q --timer $(or $(T),t/)

demo: deps
	@$(MAKE) --no-print-directory all
	@KLAVIYO_NGINX=$(NGINX) ONCE=$(ONCE) demo/run


install: $(MODULE)
	install -d $(DESTDIR)$(MODULES_PATH)
	install -m 0644 $(MODULE) $(DESTDIR)$(MODULES_PATH)/

clean:
	rm -rf objs
