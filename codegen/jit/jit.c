/* The JIT: each module is optimised and made an object file on a thread of its
 * own, then ORC links the objects into the process. */
#include "codegen/jit/cache.h"
#include "codegen/jit/jit.h"
#include <llvm-c/BitWriter.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Object.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <llvm/Config/llvm-config.h>
#include <pthread.h>
#include <string.h>

/* Vector code comes written as such: what would vectorise or unroll it again is
 * off (optimise). */
#define PIPELINE "default<O2>"
enum { CACHE_BYTES = 256 << 20 };

typedef struct {
    LLVMContextRef ctx;
    LLVMModuleRef module;
    LLVMMemoryBufferRef object;
    char *text[3]; /* LLVM's */
    bool cached;
} Unit;

struct Jit {
    Arena arena;
    const Target *target;
    JitOptions o;
    LIST(Unit *) unit;
    int next; /* to compile */
    pthread_mutex_t lock;
    LLVMOrcLLJITRef lljit;
    double optimise, link;
};

static void check(LLVMErrorRef err, const char *doing)
{
    if (!err)
        return;
    char *text = LLVMGetErrorMessage(err);
    BUG("%s: %s", doing, text);
}

static void start_llvm(void)
{
    llvm_guard();
    LLVMInitializeAllTargetInfos();
    LLVMInitializeAllTargets();
    LLVMInitializeAllTargetMCs();
    LLVMInitializeAllAsmPrinters();
}

static void start_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_llvm);
}

static LLVMTargetMachineRef machine(const Target *t)
{
    LLVMTargetRef target;
    char *why = NULL;
    start_once();
    if (LLVMGetTargetFromTriple(t->triple, &target, &why))
        BUG("LLVM has no target %s: %s", t->triple, why);
    return LLVMCreateTargetMachine(target, t->triple, "", t->features,
                                   LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                   LLVMCodeModelDefault);
}

Jit *jit_new(const Target *t, const JitOptions *o)
{
    Jit *j = xmalloc(sizeof *j);
    *j = (Jit){.target = t, .o = *o, .lock = PTHREAD_MUTEX_INITIALIZER};
    return j;
}

void jit_free(Jit *j)
{
    if (!j)
        return;
    if (j->lljit)
        LLVMConsumeError(LLVMOrcDisposeLLJIT(j->lljit));
    for (int i = 0; i < j->unit.n; i++) {
        Unit *u = j->unit.at[i];
        for (int k = 0; k < 3; k++)
            LLVMDisposeMessage(u->text[k]);
        if (u->module)
            LLVMDisposeModule(u->module);
        if (u->ctx)
            LLVMContextDispose(u->ctx);
    }
    arena_free(&j->arena);
    free(j);
}

void jit_add(Jit *j, Emit *e)
{
    Unit *u = arena_alloc(&j->arena, sizeof *u);
    u->module = emit_take(e, &u->ctx);
    list_push(&j->arena, &j->unit, u);
}

/* ---- compiling ---- */

static void optimise(LLVMModuleRef m, LLVMTargetMachineRef tm)
{
    LLVMPassBuilderOptionsRef o = LLVMCreatePassBuilderOptions();
    LLVMPassBuilderOptionsSetLoopUnrolling(o, 0);
    LLVMPassBuilderOptionsSetSLPVectorization(o, 0);
    LLVMPassBuilderOptionsSetLoopVectorization(o, 0);
    check(LLVMRunPasses(m, PIPELINE, tm, o), "optimising");
    LLVMDisposePassBuilderOptions(o);
}

static LLVMMemoryBufferRef write_object(LLVMTargetMachineRef tm,
                                        LLVMModuleRef m, bool assembly)
{
    char *why = NULL;
    LLVMMemoryBufferRef out;
    if (LLVMTargetMachineEmitToMemoryBuffer(
            tm, m, assembly ? LLVMAssemblyFile : LLVMObjectFile, &why, &out))
        BUG("writing machine code: %s", why);
    return out;
}

static void set_layout(LLVMModuleRef m, LLVMTargetMachineRef tm)
{
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(tm);
    LLVMSetModuleDataLayout(m, layout);
    LLVMDisposeTargetData(layout);
}

LLVMMemoryBufferRef jit_object(const Target *t, LLVMModuleRef m, bool assembly)
{
    LLVMTargetMachineRef tm = machine(t);
    set_layout(m, tm);
    optimise(m, tm);
    LLVMMemoryBufferRef out = write_object(tm, m, assembly);
    LLVMDisposeTargetMachine(tm);
    return out;
}

/* Code generation changes the module: the assembly is made of a copy. */
static char *assembly_of(LLVMTargetMachineRef tm, LLVMModuleRef m)
{
    LLVMModuleRef copy = LLVMCloneModule(m);
    LLVMMemoryBufferRef b = write_object(tm, copy, true);
    char *text = LLVMCreateMessage(LLVMGetBufferStart(b));
    LLVMDisposeMemoryBuffer(b);
    LLVMDisposeModule(copy);
    return text;
}

static void make_object(Jit *j, Unit *u, LLVMTargetMachineRef tm)
{
    if (j->o.keep_text)
        u->text[JIT_llvm] = LLVMPrintModuleToString(u->module);
    optimise(u->module, tm);
    if (j->o.keep_text) {
        u->text[JIT_optimised] = LLVMPrintModuleToString(u->module);
        u->text[JIT_asm] = assembly_of(tm, u->module);
    }
    u->object = write_object(tm, u->module, false);
}

/* ---- kept on disk: by all that an object is made of ---- */

static CacheKey key_of(const Jit *j, const Unit *u)
{
    LLVMMemoryBufferRef b = LLVMWriteBitcodeToMemoryBuffer(u->module);
    CacheKey k = cache_mix(cache_key(), LLVMGetBufferStart(b),
                           LLVMGetBufferSize(b));
    LLVMDisposeMemoryBuffer(b);
    const char *text[] = {LLVM_VERSION_STRING, PIPELINE, j->target->triple,
                          j->target->features};
    for (size_t i = 0; i < COUNT(text); i++)
        k = cache_mix(k, text[i], strlen(text[i]));
    return k;
}

static bool has_symbol(LLVMBinaryRef b, const char *name)
{
    bool found = false;
    LLVMSymbolIteratorRef s = LLVMObjectFileCopySymbolIterator(b);
    for (; !found && !LLVMObjectFileIsSymbolIteratorAtEnd(b, s);
         LLVMMoveToNextSymbol(s))
        found = !strcmp(LLVMGetSymbolName(s), name);
    LLVMDisposeSymbolIterator(s);
    return found;
}

/* Is the kept object one that has the module's functions? */
static bool has_functions(Unit *u)
{
    char *why = NULL;
    LLVMBinaryRef b = LLVMCreateBinary(u->object, u->ctx, &why);
    LLVMDisposeMessage(why);
    if (!b)
        return false;
    bool all = true;
    for (LLVMValueRef f = LLVMGetFirstFunction(u->module); all && f;
         f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f) &&
            LLVMGetLinkage(f) == LLVMExternalLinkage)
            all = has_symbol(b, LLVMGetValueName(f));
    LLVMDisposeBinary(b);
    return all;
}

static bool from_cache(Jit *j, Unit *u, CacheKey k)
{
    size_t len;
    void *data = cache_find(j->o.cache, k, &len);
    if (!data)
        return false;
    u->object = LLVMCreateMemoryBufferWithMemoryRangeCopy(data, len, "cached");
    free(data);
    if (has_functions(u))
        return true;
    LLVMDisposeMemoryBuffer(u->object);
    u->object = NULL;
    return false;
}

static void compile(Jit *j, Unit *u)
{
    LLVMTargetMachineRef tm = machine(j->target);
    set_layout(u->module, tm);
    CacheKey k = j->o.cache ? key_of(j, u) : cache_key();
    if (!j->o.cache || j->o.keep_text || !from_cache(j, u, k)) {
        make_object(j, u, tm);
        if (j->o.cache)
            cache_keep(j->o.cache, k, LLVMGetBufferStart(u->object),
                       LLVMGetBufferSize(u->object), CACHE_BYTES);
    } else {
        u->cached = true;
    }
    LLVMDisposeTargetMachine(tm);
    LLVMDisposeModule(u->module);
    LLVMContextDispose(u->ctx);
    u->module = NULL;
    u->ctx = NULL;
}

static void *work(void *user)
{
    Jit *j = user;
    for (;;) {
        pthread_mutex_lock(&j->lock);
        int i = j->next < j->unit.n ? j->next++ : -1;
        pthread_mutex_unlock(&j->lock);
        if (i < 0)
            return NULL;
        compile(j, j->unit.at[i]);
    }
}

static void compile_all(Jit *j)
{
    pthread_t thread[16];
    int n = j->o.threads < 16 ? j->o.threads : 16, started = 0;
    start_once();
    for (int i = 1; i < n && i < j->unit.n; i++)
        started += !pthread_create(&thread[started], NULL, work, j);
    work(j);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
}

void jit_link(Jit *j)
{
    double start = seconds_now();
    compile_all(j);
    double compiled = seconds_now();
    check(LLVMOrcCreateLLJIT(&j->lljit, NULL), "starting the JIT");
    LLVMOrcJITDylibRef lib = LLVMOrcLLJITGetMainJITDylib(j->lljit);
    LLVMOrcDefinitionGeneratorRef process;
    check(LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
              &process, LLVMOrcLLJITGetGlobalPrefix(j->lljit), NULL, NULL),
          "finding the process's symbols");
    LLVMOrcJITDylibAddGenerator(lib, process);
    for (int i = 0; i < j->unit.n; i++)
        check(LLVMOrcLLJITAddObjectFile(j->lljit, lib, j->unit.at[i]->object),
              "linking");
    j->optimise = compiled - start;
    j->link = seconds_now() - compiled;
}

void *jit_symbol(Jit *j, const char *name)
{
    LLVMOrcExecutorAddress at;
    double start = seconds_now();
    check(LLVMOrcLLJITLookup(j->lljit, &at, name), name);
    j->link += seconds_now() - start;
    return (void *)(uintptr_t)at;
}

void jit_print(const Jit *j, JitText what, FILE *out)
{
    for (int i = 0; i < j->unit.n; i++)
        if (j->unit.at[i]->text[what])
            fputs(j->unit.at[i]->text[what], out);
}

bool jit_was_cached(const Jit *j)
{
    bool all = j->unit.n > 0;
    for (int i = 0; i < j->unit.n; i++)
        all &= j->unit.at[i]->cached;
    return all;
}

void jit_seconds(const Jit *j, double *opt, double *link)
{
    *opt = j->optimise;
    *link = j->link;
}
