/* Makes every fsync and fdatasync one millisecond slower, as on an ordinary disk or cloud volume.
   cc -shared -fPIC -O2 -o slowsync.so slowsync.c -ldl; LD_PRELOAD=./slowsync.so ... */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

static void wait_a_millisecond(void) {
    struct timespec pause = {0, 1000000};
    nanosleep(&pause, 0);
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_a_millisecond();
    return real(fd);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_a_millisecond();
    return real(fd);
}
