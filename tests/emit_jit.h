/* Machine code from an Emit, for the tests of emitters: optimised as programs
 * are, run in this process. */
#pragma once
#include "codegen/emit/emit.h"
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

typedef struct {
    LLVMOrcLLJITRef jit;
} TestJit;

static inline void jit_check(LLVMErrorRef err)
{
    if (err)
        BUG("jit: %s", LLVMGetErrorMessage(err));
}

static inline LLVMTargetMachineRef jit_machine(const Target *t)
{
    LLVMTargetRef target;
    char *err = NULL;
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
    if (LLVMGetTargetFromTriple(t->triple, &target, &err))
        BUG("jit: %s", err);
    return LLVMCreateTargetMachine(target, t->triple, "", t->features,
                                   LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                   LLVMCodeModelDefault);
}

/* Takes e's module; e stays to be freed. */
static inline TestJit jit_compile(Emit *e)
{
    LLVMTargetMachineRef tm = jit_machine(e->target);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMMemoryBufferRef object;
    LLVMContextRef ctx;
    TestJit j;
    char *err = NULL;
    emit_verify(e);
    LLVMModuleRef m = emit_take(e, &ctx);
    jit_check(LLVMRunPasses(m, "default<O2>", tm, options));
    LLVMDisposePassBuilderOptions(options);
    if (LLVMTargetMachineEmitToMemoryBuffer(tm, m, LLVMObjectFile, &err,
                                            &object))
        BUG("jit: %s", err);
    LLVMDisposeModule(m);
    LLVMContextDispose(ctx);
    LLVMDisposeTargetMachine(tm);
    jit_check(LLVMOrcCreateLLJIT(&j.jit, NULL));
    LLVMOrcJITDylibRef lib = LLVMOrcLLJITGetMainJITDylib(j.jit);
    jit_check(LLVMOrcLLJITAddObjectFile(j.jit, lib, object));
    return j;
}

static inline void *jit_find(TestJit j, const char *name)
{
    LLVMOrcExecutorAddress at;
    jit_check(LLVMOrcLLJITLookup(j.jit, &at, name));
    return (void *)(uintptr_t)at;
}

static inline void jit_free(TestJit j)
{
    jit_check(LLVMOrcDisposeLLJIT(j.jit));
}
