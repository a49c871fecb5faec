/* Versions of the libraries graft stands on, and of those it opens at run time
 * where there is a GPU. */
#include "cli/machine.h"
#include "codegen/cuda/cuda.h"
#include <cjson/cJSON.h>
#include <dlfcn.h>
#include <llvm-c/Core.h>
#include <oniguruma.h>
#include <string.h>
#include <utf8proc.h>

static Library *add(Libraries *l, const char *name)
{
    Library *lib = &l->library[l->nlibrary++];
    lib->name = name;
    return lib;
}

static void look_at_linked(Libraries *l)
{
    unsigned major, minor, patch;
    LLVMGetVersion(&major, &minor, &patch);
    Library *llvm = add(l, "LLVM");
    snprintf(llvm->version, sizeof llvm->version, "%u.%u.%u", major, minor,
             patch);
    snprintf(add(l, "Oniguruma")->version, sizeof l->library->version, "%s",
             onig_version());
    snprintf(add(l, "cJSON")->version, sizeof l->library->version, "%s",
             cJSON_Version());
    snprintf(add(l, "utf8proc")->version, sizeof l->library->version, "%s",
             utf8proc_version());
}

/* Opens the first of the names that is there; they stay open. */
static void *open_first(const char *const *names, Library *lib)
{
    for (int i = 0; names[i]; i++) {
        void *handle = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
        if (handle)
            return handle;
    }
    snprintf(lib->note, sizeof lib->note, "%s not found", names[0]);
    return NULL;
}

/* A function of an opened library, without the warning about its type. */
#define SYMBOL(handle, name, function) \
    (*(void **)&(function) = dlsym(handle, name), (function) != NULL)

/* The driver API, as far as doctor asks; 0 is success. */
static struct {
    int (*init)(unsigned flags);
    int (*version)(int *version);
    int (*count)(int *count);
    int (*get)(int *device, int ordinal);
    int (*name)(char *name, int len, int device);
    int (*memory)(size_t *bytes, int device);
    int (*attribute)(int *value, int attribute, int device);
} cu;

static bool load_driver(void *handle)
{
    return SYMBOL(handle, "cuInit", cu.init) &&
           SYMBOL(handle, "cuDriverGetVersion", cu.version) &&
           SYMBOL(handle, "cuDeviceGetCount", cu.count) &&
           SYMBOL(handle, "cuDeviceGet", cu.get) &&
           SYMBOL(handle, "cuDeviceGetName", cu.name) &&
           SYMBOL(handle, "cuDeviceTotalMem_v2", cu.memory) &&
           SYMBOL(handle, "cuDeviceGetAttribute", cu.attribute);
}

static void look_at_gpus(Libraries *l)
{
    enum { CAPABILITY_MAJOR = 75, CAPABILITY_MINOR = 76 };
    int count = 0, device;
    cu.count(&count);
    for (int i = 0; i < count && l->ngpu < MAX_GPUS; i++) {
        Gpu *g = &l->gpu[l->ngpu];
        size_t bytes = 0;
        if (cu.get(&device, i) != 0)
            continue;
        cu.name(g->name, sizeof g->name, device);
        cu.memory(&bytes, device);
        cu.attribute(&g->major, CAPABILITY_MAJOR, device);
        cu.attribute(&g->minor, CAPABILITY_MINOR, device);
        g->memory = (int64_t)bytes;
        l->ngpu++;
    }
}

static void look_at_driver(Libraries *l)
{
    static const char *const names[] = {"libcuda.so.1", NULL};
    Library *lib = add(l, "CUDA driver");
    void *handle = open_first(names, lib);
    int version = 0;
    if (!handle)
        return;
    int status = load_driver(handle) ? cu.init(0) : -1;
    if (status != 0) {
        snprintf(lib->note, sizeof lib->note,
                 "libcuda.so.1 is there, but gives error %d", status);
        return;
    }
    cu.version(&version);
    snprintf(lib->version, sizeof lib->version, "%d.%d", version / 1000,
             version % 1000 / 10);
    look_at_gpus(l);
}

static void look_at_nvrtc(Libraries *l)
{
    Library *lib = add(l, "NVRTC");
    const char *path;
    int version;
    Err err = {""};
    if (cuda_nvrtc(&version, &path, &err)) {
        snprintf(lib->version, sizeof lib->version, "%d.%d", version / 1000,
                 version % 1000 / 10);
        snprintf(lib->note, sizeof lib->note, "%.150s", path);
    } else {
        snprintf(lib->note, sizeof lib->note, "%.*s",
                 (int)sizeof lib->note - 1, err.text);
    }
}

static void look_at_cublas(Libraries *l)
{
    static const char *const names[] = {"libcublasLt.so", "libcublasLt.so.13",
                                        "libcublasLt.so.12", NULL};
    size_t (*version)(void);
    Library *lib = add(l, "cuBLASLt");
    void *handle = open_first(names, lib);
    if (handle && SYMBOL(handle, "cublasLtGetVersion", version)) {
        size_t v = version(); /* 120103 is 12.1.3 */
        snprintf(lib->version, sizeof lib->version, "%zu.%zu.%zu", v / 10000,
                 v % 10000 / 100, v % 100);
    }
}

void libraries_look(Libraries *l)
{
    *l = (Libraries){0};
    look_at_linked(l);
    look_at_driver(l);
    look_at_nvrtc(l);
    look_at_cublas(l);
}
