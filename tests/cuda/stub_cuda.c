/* libcuda.so.1 for tests: a GPU that is this CPU. Memory is the host's, each
 * piece before a page that nobody may touch; a cubin is a shared library that
 * the other stub has made, whose kernels run under the emulator. STUB_CUDA says
 * what goes wrong: "count=0", "cc=75", "memory=100000" (bytes), "driver=12000",
 * "load=222", "launch=700", "wait=700"; and how kernels run: "order=1",
 * "late=1". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef int (*Launch)(const char *name, const uint32_t *grid, int threads,
                      size_t shared, void **arg, int order, int late);
typedef struct {
    Launch launch;
    char name[256];
} Function;

/* Its file stays open: the loader knows libraries by their paths. */
typedef struct {
    void *lib;
    int file;
    Function function; /* a module has one */
} Module;

static size_t used;

static long long setting(const char *name, long long otherwise)
{
    const char *s = getenv("STUB_CUDA"), *at = s ? strstr(s, name) : NULL;
    return at ? atoll(at + strlen(name) + 1) : otherwise;
}

static size_t memory(void)
{
    return (size_t)setting("memory", 1ll << 34);
}

/* ---- the device ---- */

int cuInit(unsigned flags)
{
    (void)flags;
    return 0;
}

int cuDriverGetVersion(int *version)
{
    *version = (int)setting("driver", 13000);
    return 0;
}

int cuDeviceGetCount(int *count)
{
    *count = (int)setting("count", 2);
    return 0;
}

int cuDeviceGet(int *device, int number)
{
    *device = number;
    return 0;
}

int cuDeviceGetName(char *name, int len, int device)
{
    snprintf(name, (size_t)len, "stub %d", device);
    return 0;
}

int cuDeviceGetAttribute(int *value, int what, int device)
{
    int cc = (int)setting("cc", 90);
    (void)device;
    *value = what == 75 ? cc / 10
             : what == 76 ? cc % 10
             : what == 16 ? 4
             : what == 97 ? 227 << 10 : 0;
    return 0;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device)
{
    (void)device;
    *bytes = memory();
    return 0;
}

int cuDevicePrimaryCtxRetain(void **context, int device)
{
    (void)device;
    *context = &used;
    return 0;
}

int cuDevicePrimaryCtxRelease_v2(int device)
{
    (void)device;
    if (used)
        fprintf(stderr, "stub: %zu bytes are still in use\n", used);
    return 0;
}

int cuCtxSetCurrent(void *context)
{
    return context == &used ? 0 : 201;
}

int cuGetErrorString(int code, const char **words)
{
    *words = code == 2     ? "out of memory"
             : code == 700 ? "an illegal memory access was encountered"
             : code == 719 ? "unspecified launch failure" : "stub error";
    return 0;
}

/* ---- memory: its size stands a page before ---- */

static size_t page_of(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (n + page - 1) / page * page;
}

static size_t *size_of(uint64_t at)
{
    size_t page = page_of(1);
    return (size_t *)(uintptr_t)((at & ~(uint64_t)(page - 1)) - page);
}

int cuMemAlloc_v2(uint64_t *out, size_t bytes)
{
    size_t page = page_of(1), size = page_of(bytes);
    if (!bytes || used + bytes > memory())
        return 2;
    char *p = mmap(NULL, size + 2 * page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 2;
    mprotect(p + page + size, page, PROT_NONE);
    memset(p + page, 0xff, size);
    *out = (uint64_t)(uintptr_t)(p + page + (size - bytes) / 16 * 16);
    /* the piece begins in its first page: sizes differ by less than one */
    *size_of((uint64_t)(uintptr_t)(p + page)) = bytes;
    used += bytes;
    return 0;
}

int cuMemFree_v2(uint64_t at)
{
    size_t page = page_of(1), bytes = *size_of(at);
    used -= bytes;
    return munmap((char *)size_of(at), page_of(bytes) + 2 * page);
}

int cuMemGetInfo_v2(size_t *left, size_t *all)
{
    *all = memory();
    *left = *all - used;
    return 0;
}

int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t bytes)
{
    memcpy((void *)(uintptr_t)to, from, bytes);
    return 0;
}

int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes)
{
    memcpy(to, (void *)(uintptr_t)from, bytes);
    return 0;
}

int cuMemcpyDtoD_v2(uint64_t to, uint64_t from, size_t bytes)
{
    memcpy((void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes);
    return 0;
}

/* ---- kernels ---- */

static size_t library_size(const void *image)
{
    const Elf64_Ehdr *h = image;
    return h->e_shoff + (size_t)h->e_shentsize * h->e_shnum;
}

int cuModuleLoadData(void **module, const void *image)
{
    char path[64];
    int rc = (int)setting("load", 0);
    if (rc)
        return rc;
    if (memcmp(image, ELFMAG, SELFMAG))
        return 200;
    Module *m = malloc(sizeof *m);
    size_t size = library_size(image);
    m->file = memfd_create("kernels", 0);
    if (m->file < 0 || write(m->file, image, size) != (ssize_t)size)
        return 200;
    snprintf(path, sizeof path, "/proc/self/fd/%d", m->file);
    m->lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    *module = m;
    return m->lib ? 0 : 200;
}

int cuModuleUnload(void *module)
{
    Module *m = module;
    dlclose(m->lib);
    close(m->file);
    free(m);
    return 0;
}

int cuModuleGetFunction(void **out, void *module, const char *name)
{
    Function *f = &((Module *)module)->function;
    void *at = dlsym(((Module *)module)->lib, "emu_launch");
    memcpy(&f->launch, &at, sizeof at);
    snprintf(f->name, sizeof f->name, "%s", name);
    *out = f;
    return at ? 0 : 500;
}

int cuFuncSetAttribute(void *function, int what, int value)
{
    (void)function;
    return what == 8 && value <= 227 << 10 ? 0 : 1;
}

int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz,
                   unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void *stream, void **arg, void **extra)
{
    const Function *f = function;
    uint32_t grid[3] = {gx, gy, gz};
    int rc = (int)setting("launch", 0);
    if (rc)
        return rc;
    if (by != 1 || bz != 1 || stream || extra || gy > 65535 || gz > 65535)
        return 1;
    return f->launch(f->name, grid, (int)bx, shared, arg,
                     (int)setting("order", 0), (int)setting("late", 0))
               ? 0 : 500;
}

int cuCtxSynchronize(void)
{
    return (int)setting("wait", 0);
}
