/* LLVM without memory, or with an error of its own, ends with our line. */
#define _GNU_SOURCE /* RTLD_DEFAULT */
#include "codegen/emit/emit.h"
#include <dlfcn.h>
#include <llvm-c/ErrorHandling.h>
#include <pthread.h>
#include <string.h>

static void no_memory(void)
{
    die("out of memory");
}

static void on_fatal(const char *why)
{
    fprintf(stderr, "graft: LLVM: %s\n", why);
    exit(EXIT_FAILURE);
}

static void no_block(void *user, const char *why, bool report)
{
    (void)user, (void)why, (void)report;
    no_memory();
}

/* C++ that gets no memory would end by `terminate`, LLVM's own allocators by
 * `abort`: the library has std::set_new_handler and
 * llvm::install_bad_alloc_error_handler, which C cannot name. */
static void catch_failures(void)
{
    void (*(*set_new)(void (*)(void)))(void);
    void (*set_block)(void (*)(void *, const char *, bool), void *);
    void *at = dlsym(RTLD_DEFAULT, "_ZSt15set_new_handlerPFvvE");
    memcpy(&set_new, &at, sizeof set_new);
    if (at)
        set_new(no_memory);
    at = dlsym(RTLD_DEFAULT, "_ZN4llvm31install_bad_alloc_error_handlerEPFvPv"
                             "PKcbES0_");
    memcpy(&set_block, &at, sizeof set_block);
    if (at)
        set_block(no_block, NULL);
    LLVMInstallFatalErrorHandler(on_fatal);
}

void llvm_guard(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, catch_failures);
}
