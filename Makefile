# ngx_http_klaviyo_module: `make help` lists what there is.

NGINX_SRC    ?= /usr/share/nginx/src
NGINX        ?= $(firstword $(wildcard /usr/sbin/nginx) nginx)
MODULES_PATH ?= /usr/lib/nginx/modules
SBIN_PATH    ?= /usr/sbin
MAN_PATH     ?= /usr/share/man
MODULES_ENABLED   ?= /etc/nginx/modules-enabled
MODULES_AVAILABLE ?= /usr/share/nginx/modules-available
PROVE        ?= prove

BUILD_DEPS    = build-essential nginx nginx-dev libcurl4-openssl-dev \
                libjansson-dev libidn2-dev libssl-dev libzstd-dev \
                zlib1g-dev libpcre2-dev \
                ca-certificates
DEMO_DEPS     = perl libmojolicious-perl
FLEET_DEPS    = libhiredis-dev
TEST_DEPS     = $(DEMO_DEPS) $(FLEET_DEPS) redis-tools libio-socket-ssl-perl \
                openssl curl nghttp2-client clang libclang-rt-dev gdb valgrind \
                php-fpm libxml2-dev pkg-config \
                $(if $(shell command -v npm),,nodejs npm)
SHOPS_DEPS    = chromium wordpress wordpress-theme-twentytwentyone php-cli \
                mariadb-server postgresql
BENCH_DEPS    = wrk lua-cjson

# Modules of nginx that tests load by their path, and what Lua's needs of Lua.
# They are unpacked and not installed: that would enable them in the nginx of
# this machine.

TEST_MODULES  = libnginx-mod-http-js libnginx-mod-http-lua \
                libnginx-mod-http-ndk lua-resty-core lua-resty-lrucache
MODULES       = objs/modules

# Ours alone: nginx's own flags come from its configure.  Warnings are errors
# here; who packages the module says WERROR= .

WERROR       ?= -Werror
CFLAGS_MODULE = -O2 -Wall -Wextra $(WERROR)

# Other builds of the same stand in folders of their own below this one.

OBJS         ?= objs
CRASH         = $(OBJS)/crash

MODULE        = $(OBJS)/ngx_http_klaviyo_module.so
NGINX_BUILD   = $(CURDIR)/$(OBJS)/nginx

# The module for fleets is built where its library is.

HIREDIS      ?= $(wildcard /usr/include/hiredis/hiredis.h)
FLEET_MODULE  = $(if $(HIREDIS),$(OBJS)/ngx_http_klaviyo_fleet_module.so)
FLEET_DIR     = ngx_klaviyo_fleet_module
FLEET_FILES   = $(if $(HIREDIS),$(wildcard $(FLEET_DIR)/*.[ch]))
FLEET_OBJECTS = $(patsubst $(FLEET_DIR)/%.c,$(OBJS)/plain/fleet/%.o,\
                $(wildcard $(FLEET_DIR)/klaviyo_*.c))
FLEET_PLAIN   = $(OBJS)/libklaviyo_fleet.a
FLEET_FUZZ    = $(patsubst $(FLEET_DIR)/%.c,$(OBJS)/fuzz/plain/fleet/%.o,\
                $(wildcard $(FLEET_DIR)/klaviyo_*.c))
LIBS_FLEET    = -lhiredis

NGINX_SRC_VERSION = $(shell sed -n \
                's/^.define NGINX_VERSION *"\(.*\)"/\1/p' \
                $(NGINX_SRC)/src/core/nginx.h 2>/dev/null)

SOURCES       = $(wildcard ngx_klaviyo_module/*.c ngx_klaviyo_module/*/*.c)
HEADERS       = $(wildcard ngx_klaviyo_module/*.h ngx_klaviyo_module/*/*.h)

PLAIN_SOURCES = $(wildcard ngx_klaviyo_module/*/klaviyo_*.c)
PLAIN_OBJECTS = $(patsubst ngx_klaviyo_module/%.c,$(OBJS)/plain/%.o,\
                $(PLAIN_SOURCES))
PLAIN         = $(OBJS)/libklaviyo.a
UNIT_TESTS    = $(patsubst t/unit/%.c,$(OBJS)/unit/%,\
                $(filter-out $(if $(HIREDIS),,t/unit/fleet_%),\
                $(wildcard t/unit/*_test.c)))

CFLAGS_UNIT   = -g -O2 -Wall -Wextra $(WERROR) -Ingx_klaviyo_module -It/unit
LIBS_UNIT     = -ljansson -lidn2 -lz -lzstd -lcrypto -lpthread

# A test's own: what t/unit/disk.h, t/unit/fault.h or the test itself stands
# in for.
LDFLAGS_model_test = -Wl,--wrap=pwrite,--wrap=fdatasync,--wrap=fsync \
                     -Wl,--wrap=openat,--wrap=open,--wrap=close \
                     -Wl,--wrap=unlinkat,--wrap=ftruncate
LDFLAGS_spool_test = -Wl,--wrap=readdir
LDFLAGS_file_test  = -Wl,--wrap=pread,--wrap=pwrite
LDFLAGS_trust_test = -Wl,--wrap=faccessat
LDFLAGS_readers_test = -Wl,--wrap=fgetxattr,--wrap=getgroups \
                       -Wl,--wrap=getgrouplist
LDFLAGS_fault_test = -Wl,--wrap=open,--wrap=openat,--wrap=fstat,--wrap=stat \
                     -Wl,--wrap=fstatat,--wrap=fstatfs,--wrap=faccessat \
                     -Wl,--wrap=mkdir,--wrap=mkdirat,--wrap=rename \
                     -Wl,--wrap=renameat,--wrap=fchmod,--wrap=fchown \
                     -Wl,--wrap=ftruncate,--wrap=posix_fallocate,--wrap=fsync \
                     -Wl,--wrap=fdatasync,--wrap=fcntl,--wrap=pread \
                     -Wl,--wrap=pwrite,--wrap=readlinkat,--wrap=getrandom \
                     -Wl,--wrap=mmap,--wrap=fdopendir,--wrap=malloc \
                     -Wl,--wrap=calloc,--wrap=realloc,--wrap=reallocarray \
                     -Wl,--wrap=strndup
LDFLAGS_ring_fuzz  = -Wl,--wrap=mmap,--wrap=munmap
LDFLAGS_log_fuzz   = -lpcre2-8

# The command line tool: the module's plain C and a main of its own.

CLI           = $(OBJS)/klaviyo-queue
CLI_SOURCES   = $(wildcard cli/*.c)
CLI_HEADERS   = $(wildcard cli/*.h)
CFLAGS_CLI    = -g -O2 -Wall -Wextra $(WERROR) -Ingx_klaviyo_module \
                -DKLAVIYO_VERSION='"$(VERSION)"' \
                -DKLAVIYO_REVISION='"$(REVISION)"'
LIBS_CLI      = -lcurl -lpcre2-8
VERSION       = $(shell sed -n 's/.* NGX_HTTP_KLAVIYO_VERSION *"\(.*\)"/\1/p' \
                ngx_klaviyo_module/account/ngx_http_klaviyo_account.h)

REVISION      = $(shell sed -n \
                's/.* NGX_HTTP_KLAVIYO_REVISION *"\(.*\)"/\1/p' \
                ngx_klaviyo_module/account/ngx_http_klaviyo_account.h)

FUZZERS       = $(patsubst t/fuzz/%.c,$(OBJS)/fuzz/%,\
                $(filter-out $(if $(HIREDIS),,t/fuzz/fleet_%),\
                $(wildcard t/fuzz/*_fuzz.c)))
FUZZ_OBJECTS  = $(patsubst ngx_klaviyo_module/%.c,$(OBJS)/fuzz/plain/%.o,\
                $(PLAIN_SOURCES))
FUZZ_TIME    ?= 60
DURATION     ?= 600
CC_FUZZ      ?= clang
CFLAGS_FUZZ   = -g -O1 -Wall -Wextra $(WERROR) -Ingx_klaviyo_module \
                -fsanitize=fuzzer,address,undefined \
                -fno-sanitize-recover=undefined

# The tests run side by side, those that take longest first; but by themselves
# those that measure how fast something is.

JOBS         ?= 4
TESTS         = $(wildcard t/*.t)
TESTS_LONG    = $(wildcard $(patsubst %,t/%.t,compile delivery process hold \
                fuzz build klaviyo_faults spool dead_letter stopped))
TESTS_ALONE   = $(wildcard $(patsubst %,t/%.t,rate transport_traps loop))

# Nothing of the module runs in these, or under sanitizers of its own.

TESTS_PLAIN   = $(patsubst %,t/%.t,build circles compile formats fuzz harness \
                instructions rooms sandbox)

# $(call prove,environment,tests): T=t/x.t is taken as it is.  What fails beside
# others runs once more by itself: a machine that is too busy is no fault.

PROVE_STATE   = --statefile=$(OBJS)/prove.state

prove = $(if $(T),$(1) $(PROVE) -q --timer $(T), \
    failed=0; export MAKEFLAGS=; rm -f $(OBJS)/prove.state; \
    $(1) $(PROVE) -q --timer $(PROVE_STATE) --state=save -j$(JOBS) \
        $(filter $(2),$(TESTS_LONG)) \
        $(filter-out $(TESTS_LONG) $(TESTS_ALONE),$(2)) || { \
        echo 'what failed, once more by itself:'; \
        $(1) $(PROVE) -q --timer $(PROVE_STATE) --state=failed,save \
            || failed=1; }; \
    $(1) $(PROVE) -q --timer $(filter $(2),$(TESTS_ALONE)) || failed=1; \
    exit $$failed)

# Each dynamic module of nginx has an ngx_module_order of its own.

CFLAGS_ASAN   = -fsanitize=address,undefined -fno-sanitize-recover=undefined \
                -fno-omit-frame-pointer
ENV_ASAN      = ASAN_OPTIONS=detect_leaks=1:detect_odr_violation=0 \
                UBSAN_OPTIONS=print_stacktrace=1 \
                KLAVIYO_OBJS=objs/asan KLAVIYO_SLOW=3 \
                KLAVIYO_REAL_NGINX=$(NGINX) \
                KLAVIYO_NGINX=$(CURDIR)/t/lib/nginx-asan

VALGRIND      = valgrind -q --vgdb=no --error-exitcode=99 --leak-check=full \
                --errors-for-leak-kinds=definite \
                --show-leak-kinds=definite \
                --vex-iropt-register-updates=allregs-at-mem-access \
                --suppressions=$(CURDIR)/t/lib/valgrind.supp
ENV_VALGRIND  = KLAVIYO_SLOW=10 KLAVIYO_RUN='$(VALGRIND)' \
                KLAVIYO_OBJS=objs/valgrind \
                KLAVIYO_QUEUE=$(CURDIR)/t/lib/klaviyo-queue-valgrind \
                KLAVIYO_REAL_NGINX=$(NGINX) \
                KLAVIYO_NGINX=$(CURDIR)/t/lib/nginx-valgrind


# What measures, and the module without Klaviyo's limits to measure how fast
# it delivers; t/instructions.t needs the first.

BENCH_DIR     = $(OBJS)/bench
BENCH_TOOLS   = $(BENCH_DIR)/queue
BENCH_ALL     = $(BENCH_TOOLS) $(BENCH_DIR)/sink $(BENCH_DIR)/capture \
                $(BENCH_DIR)/page \
                $(BENCH_DIR)/disk_fault.so $(BENCH_DIR)/floor.so
BENCH_SDK     = klaviyo-api@23.0.0

# The HTML parser that t/pages.t asks.

PARSE5        = objs/pages/node_modules/parse5
PARSE5_NPM    = parse5@7.2.1


$(if $(word 2,$(CURDIR)),$(error the path of this folder has a blank in it, \
  which nginx's ./configure does not take))

.DELETE_ON_ERROR:
.PHONY: all help deps build-deps unit crash fuzzers fuzz pages test test-asan \
        test-valgrind test-valkey test-shops test-page test-packages \
        test-versions test-portable test-debian soak demo bench install deb dist \
        clean loads mutate
.SECONDARY: $(FUZZ_OBJECTS)

all: $(MODULE) $(FLEET_MODULE) $(CLI) loads

help:
	@echo 'make              builds $(MODULE)'
	@echo '                  and $(CLI);'
	@echo '                  with $(FLEET_DEPS), the module for fleets too'
	@echo 'make deb          builds packages for this Debian'
	@echo 'make build-deps   installs with apt what a build needs'
	@echo 'make deps         and what the tests need'
	@echo 'make bench        measures it beside what one would use instead,'
	@echo '                  in 20 minutes; BENCH=quick: see that it runs'
	@echo 'make demo         a shop, the module, and a Klaviyo to talk to'
	@echo 'make demo ONCE=1  the same by itself: 0 if every event arrived'
	@echo 'make demo FLEET=3 three nginx, a Redis, and who kills them'
	@echo 'make test         runs every test'
	@echo 'make test-asan    runs them under ASan and UBSan'
	@echo 'make test-valgrind  runs them in valgrind'
	@echo '                  T=t/x.t: this one alone; JOBS=$(JOBS): at a time'
	@echo 'make test-valkey  the tests of fleets with VALKEY=$(VALKEY)'
	@echo 'make test-shops   Chromium shops in a real WordPress and EverShop'
	@echo 'make test-page    Chromium looks at the status page'
	@echo 'make test-packages  builds, installs and purges packages on SUITES'
	@echo 'make test-versions  tests the module with each of NGINXES'
	@echo 'make test-debian  the same with the nginx and the gcc of SUITES'
	@echo 'make test-portable  tests it with musl, on i386, on aarch64'
	@echo 'make soak         long forms of the tests that kill and upgrade:'
	@echo '                  DURATION=$(DURATION) seconds each'
	@echo 'make fuzz         runs each fuzzer for FUZZ_TIME=$(FUZZ_TIME) seconds'
	@echo 'make mutate       tries the unit tests with N=$(N) changes of the'
	@echo '                  plain C, one at a time; SEED=n, F=queue/ring'
	@echo 'make install      installs the module for nginx to load,'
	@echo '                  klaviyo-queue and its man page'
	@echo 'make dist         the archive of a release'
	@echo 'make clean        removes what was built'
	@echo
	@echo 'NGINX_SRC=$(NGINX_SRC)  the source of the nginx to build for'
	@echo 'WERROR=                   warnings are no errors'
	@echo 'NGINX=$(NGINX)  the nginx to test with'


# apt is asked only when something is missing: $(call install,packages)

install = missing=; \
    for p in $(1); do \
        dpkg-query -W -f '$${Status}' $$p 2>/dev/null \
            | grep -q 'ok installed' || missing="$$missing $$p"; \
    done; \
    [ -n "$$missing" ] || exit 0; \
    sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
    echo "installing:$$missing"; \
    $$sudo apt-get -q update \
        && $$sudo env DEBIAN_FRONTEND=noninteractive \
           apt-get -q -y --no-install-recommends install $$missing

build-deps:
	@$(call install,$(BUILD_DEPS))

deps: build-deps
	@$(call install,$(TEST_DEPS))
	@$(MAKE) --no-print-directory $(MODULES)/unpacked $(MODULES)/promtool \
	    $(PARSE5)

# What the packages need besides nginx is installed.

$(MODULES)/unpacked:
	@echo 'unpacking: $(TEST_MODULES)'
	@rm -rf $(MODULES)
	@mkdir -p $(MODULES)/debs
	@cd $(MODULES)/debs \
	    && sudo= && { [ "$$(id -u)" = 0 ] || sudo=sudo; } \
	    && { apt-get -q download $(TEST_MODULES) 2>/dev/null \
	         || { $$sudo apt-get -q update \
	              && apt-get -q download $(TEST_MODULES); }; } \
	    && for deb in *.deb; do dpkg-deb -x $$deb .; done \
	    && needs=$$(for deb in *.deb; do dpkg-deb -f $$deb Depends; done \
	        | tr ',' '\n' | sed 's/^ *//' \
	        | grep -v '^\(libnginx\|nginx\|lua-resty\)' | sort -u | paste -s -d,) \
	    && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
	        --no-install-recommends satisfy "$$needs"
	@mv $(MODULES)/debs/usr/lib/nginx/modules/*.so $(MODULES)/
	@mv $(MODULES)/debs/usr/share/lua/5.1 $(MODULES)/lua
	@rm -r $(MODULES)/debs
	@touch $@

# A package of its own from Debian 13 on; before, the tool of one whose server
# nobody here wants to run.

$(MODULES)/promtool: $(MODULES)/unpacked
	@echo 'unpacking: promtool'
	@cd $(MODULES) \
	    && { apt-get -q download promtool 2>/dev/null \
	         || apt-get -q download prometheus; } \
	    && dpkg-deb --fsys-tarfile prom*.deb \
	        | tar -xf - --strip-components=3 ./usr/bin/promtool \
	    && rm prom*.deb


# Debian's nginx-dev tells the flags of Debian's nginx; a module must be built
# with the same ones.  Another source: NGINX_CONF_FLAGS, as for its configure.

# A folder is newer than the recipe when a source came or went.

$(NGINX_BUILD)/Makefile: config $(wildcard ngx_klaviyo_module/*/.) \
                         $(if $(HIREDIS),$(FLEET_DIR)/config)
	@mkdir -p $(NGINX_BUILD)
	@test -f $(NGINX_SRC)/src/core/nginx.h || { \
	    echo 'no nginx source in $(NGINX_SRC): run "make build-deps" or set' \
	         'NGINX_SRC' >&2; exit 1; }
	@echo 'configuring for nginx $(NGINX_SRC_VERSION) in $(NGINX_SRC)'
	@cd $(NGINX_SRC) && bash -c ' \
	    NGX_CONF_FLAGS=(--with-compat); \
	    if [ -f ./conf_flags ]; then . ./conf_flags; fi; \
	    configure=./configure; \
	    [ -x $$configure ] || configure=auto/configure; \
	    $$configure --builddir=$(NGINX_BUILD) "$${NGX_CONF_FLAGS[@]}" \
	        $(NGINX_CONF_FLAGS) \
	        --add-dynamic-module=$(CURDIR) \
	        $(if $(HIREDIS),--add-dynamic-module=$(CURDIR)/$(FLEET_DIR))' \
	    > $(NGINX_BUILD).log 2>&1 || { \
	    grep -A3 'error:' $(NGINX_BUILD).log >&2 \
	        || tail -n 20 $(NGINX_BUILD).log >&2; \
	    rm -f $@; exit 1; }

$(MODULE): $(NGINX_BUILD)/Makefile $(SOURCES) $(HEADERS) $(FLEET_FILES)
	@cd $(NGINX_SRC) && $(MAKE) --no-print-directory -s \
	    -f $(NGINX_BUILD)/Makefile modules \
	    CFLAGS="$$(sed -n 's/^CFLAGS = *//p' $(NGINX_BUILD)/Makefile) \
	            $(CFLAGS_MODULE) $(CFLAGS)"
	@cp $(NGINX_BUILD)/ngx_http_klaviyo_module.so $@
	@$(if $(FLEET_MODULE),cp $(NGINX_BUILD)/$(notdir $(FLEET_MODULE)) $(FLEET_MODULE),:)
	@echo 'built $@ $(FLEET_MODULE) for nginx $(NGINX_SRC_VERSION)'

# An nginx loads modules of its own version, and of its own signature: what
# its configure was told that changes its structures.

signature = grep -aoE '[0-9],[0-9],[0-9],[01]{30,}' $(1) | head -n 1

loads: $(MODULE)
	@nginx=$$(command -v $(NGINX)) || exit 0; \
	installed=$$($$nginx -V 2>&1 | sed -nE \
	    's,^.*(nginx|openresty)/([0-9]+[.][0-9]+[.][0-9]+).*,\2,p' \
	    | head -n 1); \
	[ -n "$$installed" ] || exit 0; \
	if [ "$$installed" != '$(NGINX_SRC_VERSION)' ]; then \
	    echo "$$nginx is $$installed and will not load it: set NGINX_SRC" \
	         "to its source"; \
	elif [ "$$($(call signature,$$nginx))" \
	       != "$$($(call signature,$(MODULE)))" ]; then \
	    echo "$$nginx was configured otherwise and will not load it: set" \
	         "NGINX_CONF_FLAGS to what $$nginx -V prints"; \
	fi

# That of the module before, by the same call of nginx's make.

$(OBJS)/ngx_http_klaviyo_fleet_module.so: $(MODULE)
	@touch $@


# The plain C by itself: for the command line tool and the unit tests.

$(OBJS)/plain/%.o: ngx_klaviyo_module/%.c $(HEADERS)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_UNIT) $(CFLAGS) -c -o $@ $<

$(PLAIN): $(PLAIN_OBJECTS)
	@rm -f $@
	@$(AR) cr $@ $(PLAIN_OBJECTS)

$(OBJS)/plain/fleet/%.o: $(FLEET_DIR)/%.c $(FLEET_FILES) $(HEADERS)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_UNIT) -I$(FLEET_DIR) $(CFLAGS) -c -o $@ $<

$(FLEET_PLAIN): $(FLEET_OBJECTS)
	@rm -f $@
	@$(AR) cr $@ $(FLEET_OBJECTS)

$(CLI): $(CLI_SOURCES) $(CLI_HEADERS) $(PLAIN)
	@$(CC) $(CFLAGS_CLI) $(CFLAGS) $(LDFLAGS) -o $@ $(CLI_SOURCES) \
	    $(PLAIN) $(LIBS_UNIT) $(LIBS_CLI)
	@echo 'built $@'


unit: $(UNIT_TESTS)

$(OBJS)/unit/fleet_%: t/unit/fleet_%.c $(wildcard t/unit/*.h) $(FLEET_PLAIN) \
                      $(PLAIN)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_UNIT) -I$(FLEET_DIR) $(CFLAGS) -o $@ $< $(FLEET_PLAIN) \
	    $(PLAIN) $(LIBS_UNIT) $(LIBS_FLEET)

$(OBJS)/unit/%: t/unit/%.c $(wildcard t/unit/*.h) $(PLAIN)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_UNIT) $(CFLAGS) -o $@ $< $(PLAIN) $(LDFLAGS_$*) $(LIBS_UNIT)


# The module and the plain C with points at which a test ends them.  A hundred
# times each: that must not wait for Klaviyo's minute.

CFLAGS_CRASH  = -DKLAVIYO_CRASH_POINTS -DKLAVIYO_LIMITER_TIMES=1000

crash:
	@$(MAKE) --no-print-directory OBJS=$(CRASH) \
	    CFLAGS='$(CFLAGS) $(CFLAGS_CRASH)' \
	    $(CRASH)/ngx_http_klaviyo_module.so $(CRASH)/crash_points

$(OBJS)/crash_points: t/crash/crash_points.c $(wildcard t/unit/*.h) $(PLAIN)
	@$(CC) $(CFLAGS_UNIT) $(CFLAGS) -o $@ $< $(PLAIN) $(LIBS_UNIT)


# What our reader of pages sees, and what libxml2 does, for t/pages.t; parse5
# comes from npm.

pages: $(OBJS)/pages/ours $(OBJS)/pages/libxml2

$(OBJS)/pages/ours: t/pages/ours.c $(PLAIN)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_UNIT) $(CFLAGS) -o $@ $< $(PLAIN) $(LIBS_UNIT)

$(OBJS)/pages/libxml2: t/pages/libxml2.c
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_UNIT) $$(pkg-config --cflags libxml-2.0) -o $@ $< \
	    $$(pkg-config --libs libxml-2.0) -ljansson

$(PARSE5):
	@mkdir -p objs/pages
	@npm install --silent --no-audit --no-fund --prefix objs/pages \
	    $(PARSE5_NPM)


# What a run finds anew stays in objs/fuzz, what broke it in objs/fuzz too.

fuzzers: $(FUZZERS)

$(OBJS)/fuzz/plain/%.o: ngx_klaviyo_module/%.c $(HEADERS)
	@mkdir -p $(@D)
	@$(CC_FUZZ) $(CFLAGS_FUZZ) -c -o $@ $<

$(OBJS)/fuzz/plain/fleet/%.o: $(FLEET_DIR)/%.c $(FLEET_FILES) $(HEADERS)
	@mkdir -p $(@D)
	@$(CC_FUZZ) $(CFLAGS_FUZZ) -I$(FLEET_DIR) -c -o $@ $<

$(OBJS)/fuzz/fleet_fuzz: t/fuzz/fleet_fuzz.c $(wildcard t/fuzz/*.h) \
                         $(FUZZ_OBJECTS) $(FLEET_FUZZ)
	@$(CC_FUZZ) $(CFLAGS_FUZZ) -I$(FLEET_DIR) -o $@ $< $(FLEET_FUZZ) \
	    $(FUZZ_OBJECTS) $(LIBS_UNIT) $(LIBS_FLEET)

$(OBJS)/fuzz/%: t/fuzz/%.c $(wildcard t/fuzz/*.h) $(CLI_SOURCES) \
                 $(FUZZ_OBJECTS)
	@$(CC_FUZZ) $(CFLAGS_FUZZ) -o $@ $< $(FUZZ_OBJECTS) $(LDFLAGS_$*) \
	    $(LIBS_UNIT)

fuzz: fuzzers
	@for f in $(FUZZERS); do \
	    name=$$(basename $$f _fuzz); \
	    echo "$$name: $(FUZZ_TIME) s"; \
	    mkdir -p $(OBJS)/fuzz/corpus/$$name; \
	    $$f -max_total_time=$(FUZZ_TIME) -max_len=4096 -timeout=5 \
	        -print_final_stats=1 -artifact_prefix=$(OBJS)/fuzz/ \
	        $(OBJS)/fuzz/corpus/$$name t/fuzz/seeds/$$name \
	        > $(OBJS)/fuzz/$$name.log 2>&1 || { \
	        cat $(OBJS)/fuzz/$$name.log >&2; exit 1; }; \
	    tail -n 6 $(OBJS)/fuzz/$$name.log; \
	done


test: deps
	@$(MAKE) --no-print-directory all unit fuzzers crash pages $(BENCH_TOOLS)
	@$(call prove,KLAVIYO_NGINX=$(NGINX),$(TESTS))

# The same with the module, the unit tests and the tool under the sanitizers.

test-asan: deps
	@$(MAKE) --no-print-directory OBJS=objs/asan \
	    CFLAGS='$(CFLAGS_ASAN)' all unit crash pages
	@$(call prove,$(ENV_ASAN),$(filter-out $(TESTS_PLAIN),$(TESTS)))

# The same in valgrind's memcheck: an hour on two processors.  There the 5 ms
# that an append waits for the lock of the queue are short.

test-valgrind: deps
	@$(MAKE) --no-print-directory OBJS=objs/valgrind \
	    CFLAGS='-DKLAVIYO_RING_WAIT_TIMES=100' all unit crash pages
	@$(call prove,$(ENV_VALGRIND),$(filter-out $(TESTS_PLAIN),$(TESTS)))

# Fleets by another server than Debian's Redis.

VALKEY       ?= $(or $(shell command -v valkey-server),valkey-server)

test-valkey: deps
	@$(MAKE) --no-print-directory all
	@KLAVIYO_REDIS=$(VALKEY) KLAVIYO_NGINX=$(NGINX) \
	    $(PROVE) --timer $(or $(T),$(wildcard t/fleet*.t))

# A WordPress behind the module, and a visitor in Chromium; what Chromium says
# of pages that it asks for ahead.

SHOPS_DIR     = $(OBJS)/shops
SHOPS_NPM     = playwright-core@1.65.1
EVERSHOP_DIR  = $(SHOPS_DIR)/evershop
EVERSHOP_NPM  = @evershop/evershop@2.2.1 concat-stream@1.6.2

test-shops:
	@$(MAKE) --no-print-directory deps
	@$(call install,$(SHOPS_DEPS))
	@$(MAKE) --no-print-directory all
	@test -d $(SHOPS_DIR)/node_modules/playwright-core \
	    || npm install --silent --no-audit --no-fund \
	           --prefix $(SHOPS_DIR) $(SHOPS_NPM)
	@$(MAKE) --no-print-directory $(EVERSHOP_DIR)/built
	@KLAVIYO_NGINX=$(NGINX) KLAVIYO_TIMEOUT=1200 \
	    $(PROVE) --timer $(if $(T),$(T),$(wildcard t/shops/*.t))

# EverShop is built where it is installed, and takes its project's folder for
# a module of the newer kind.

$(EVERSHOP_DIR)/built:
	@mkdir -p $(addprefix $(EVERSHOP_DIR)/,config media public themes)
	@echo '{"private": true, "type": "module"}' \
	    > $(EVERSHOP_DIR)/package.json
	@cd $(EVERSHOP_DIR) \
	    && npm install --silent --no-audit --no-fund $(EVERSHOP_NPM) \
	    && npx evershop build > build.log 2>&1
	@test -d $(EVERSHOP_DIR)/.evershop/build/frontStore/server
	@touch $@

# The status page in Chromium; its screenshots stay in this folder.

PAGE_DIR      = $(OBJS)/page
PAGE_NPM      = playwright-core@1.65.1 axe-core@4.10.3
PAGE_DEPS     = chromium

test-page:
	@$(MAKE) --no-print-directory deps
	@$(call install,$(PAGE_DEPS))
	@$(MAKE) --no-print-directory all
	@test -d $(PAGE_DIR)/node_modules/axe-core \
	    || npm install --silent --no-audit --no-fund \
	           --prefix $(PAGE_DIR) $(PAGE_NPM)
	@KLAVIYO_NGINX=$(NGINX) KLAVIYO_TIMEOUT=1200 \
	    $(PROVE) --timer t/browser/page.t

# Debian's packages in chroots of each Debian, which is root's alone; the module
# with each nginx in NGINXES, by CC.  What was found is in t/versions/results
# and in README.md.

SUITES       ?= bookworm trixie sid
NGINXES      ?= $(NGINX)

test-packages:
	@$(call install,debootstrap)
	@t/packages/newcomer bookworm
	@t/packages/run $(SUITES)
	@t/versions/record --readme

# musl, 32 bits, aarch64

test-portable:
	@$(call install,debootstrap)
	@t/versions/portable; failed=$$?; \
	    t/versions/record --readme; exit $$failed

# the same with the nginx of other Debians, by their gcc

test-debian:
	@$(call install,debootstrap)
	@t/versions/debian $(SUITES); failed=$$?; \
	    t/versions/record --readme; exit $$failed

test-versions: deps
	@t/versions/run $(NGINXES); failed=$$?; \
	    t/versions/record --readme; exit $$failed

# Tests with a long form ask for KLAVIYO_SOAK.

soak: deps
	@$(MAKE) --no-print-directory all unit crash
	KLAVIYO_MODEL_STEPS=1000000 $(OBJS)/unit/model_test
	@KLAVIYO_SOAK=$(DURATION) KLAVIYO_NGINX=$(NGINX) \
	    KLAVIYO_TIMEOUT=$$((600 + 4 * $(DURATION))) \
	    $(PROVE) -v --timer $$(grep -l KLAVIYO_SOAK t/*.t)

# Which changes of the plain C no unit test notices.

N            ?= 200
SEED         ?= $(shell date +%s)

mutate:
	@CC='$(CC)' t/mutate -n $(N) -s $(SEED) $(F)

# FLEET=3: so many nginx and a Redis.

demo: build-deps
	@$(call install,$(DEMO_DEPS) $(if $(FLEET),$(FLEET_DEPS) redis-tools))
	@$(MAKE) --no-print-directory all
	@KLAVIYO_NGINX=$(NGINX) ONCE=$(ONCE) FLEET=$(FLEET) \
	    $(if $(FLEET),demo/fleet,demo/run)


$(BENCH_DIR)/%: bench/c/%.c bench/c/event.h $(PLAIN)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_UNIT) $(CFLAGS) -o $@ $< $(PLAIN) $(LIBS_UNIT)

$(BENCH_DIR)/disk_fault.so: t/lib/disk_fault.c
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_UNIT) -shared -fPIC -o $@ $< -ldl

# A module beside ours, which does less than is needed.

$(BENCH_DIR)/floor.so: bench/c/floor.c $(NGINX_BUILD)/Makefile \
    $(wildcard ngx_klaviyo_module/queue/*)
	@mkdir -p $(@D)
	@incs=$$(sed -n '/^ALL_INCS/,/[^\\]$$/p' $(NGINX_BUILD)/Makefile \
	    | sed 's/^ALL_INCS = *//' | tr -d '\\\n'); \
	cd $(NGINX_SRC) && $(CC) -shared -fPIC -g $(CFLAGS_MODULE) \
	    -Wno-unused-parameter $(CFLAGS) $$incs \
	    -I$(CURDIR)/ngx_klaviyo_module -o $(CURDIR)/$@ \
	    $(CURDIR)/bench/c/floor.c \
	    $(wildcard $(CURDIR)/ngx_klaviyo_module/queue/*.c) -lzstd

# Klaviyo's SDK comes from npm; without it that part is left out.

bench:
	@$(MAKE) --no-print-directory deps
	@$(call install,$(BENCH_DEPS))
	@$(MAKE) --no-print-directory all $(BENCH_ALL)
	@$(MAKE) --no-print-directory OBJS=$(BENCH_DIR)/module \
	    CFLAGS='$(CFLAGS) -DKLAVIYO_LIMITER_TIMES=1000' \
	    $(BENCH_DIR)/module/ngx_http_klaviyo_module.so
	@test -d $(BENCH_DIR)/node/node_modules/klaviyo-api \
	    || npm install --silent --no-audit --no-fund \
	           --prefix $(BENCH_DIR)/node $(BENCH_SDK) \
	    || echo 'without the SDK: npm did not install $(BENCH_SDK)' >&2
	@KLAVIYO_NGINX=$(NGINX) BENCH=$(BENCH) bench/run $(P)


# Debian's nginx loads what is linked in modules-enabled.

install: $(MODULE) $(FLEET_MODULE) $(CLI)
	install -d $(DESTDIR)$(MODULES_PATH) $(DESTDIR)$(SBIN_PATH) \
	    $(DESTDIR)$(MAN_PATH)/man8
	install -m 0644 $(MODULE) $(FLEET_MODULE) $(DESTDIR)$(MODULES_PATH)/
	install -m 0755 $(CLI) $(DESTDIR)$(SBIN_PATH)/
	install -m 0644 cli/klaviyo-queue.8 $(DESTDIR)$(MAN_PATH)/man8/
	@[ -n '$(DESTDIR)' ] || [ ! -d $(MODULES_ENABLED) ] || { \
	    echo 'load_module modules/ngx_http_klaviyo_module.so;' \
	        > $(MODULES_AVAILABLE)/mod-http-klaviyo.conf \
	    && ln -sf $(MODULES_AVAILABLE)/mod-http-klaviyo.conf \
	        $(MODULES_ENABLED)/50-mod-http-klaviyo.conf \
	    && echo 'enabled in $(MODULES_ENABLED)'; }

# Debian's packages, for the Debian that this is; in the folder above.

deb: build-deps
	@$(call install,debhelper dh-sequence-nginx dpkg-dev $(FLEET_DEPS))
	dpkg-buildpackage -b -us -uc

# What is released: the tree of a commit, as it stands.

dist:
	@mkdir -p $(OBJS)
	@git archive --prefix=ngx_http_klaviyo_module-$(VERSION)/ \
	    -o $(OBJS)/ngx_http_klaviyo_module-$(VERSION).tar.gz HEAD
	@echo 'made $(OBJS)/ngx_http_klaviyo_module-$(VERSION).tar.gz'

clean:
	rm -rf objs
