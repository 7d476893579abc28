/*
 * The first two sectors of a bzImage. A monitor reads the header at 0x1f1 and
 * never runs the 16-bit code, so there is none beyond a stop.
 *
 * Offsets and meanings: Linux Documentation/arch/x86/boot.rst, "The Real-Mode
 * Kernel Header".
 */
        .section .setup, "a"
        .code16
setup:
        .org    0x1f1
        .byte   1                       # setup_sects: one after the boot sector
        .word   0                       # root_flags
        .long   loaded_paragraphs       # syssize, in 16-byte paragraphs
        .word   0, 0, 0                 # ram_size, vid_mode, root_dev
        .word   0xaa55                  # boot_flag
        .byte   0xeb, 0x66              # jump over the header, to 0x268
        .ascii  "HdrS"
        .word   0x020c                  # protocol 2.12, the first with xloadflags
        .long   0                       # realmode_swtch
        .word   0, 0                    # start_sys_seg, kernel_version
        .byte   0                       # type_of_loader
        .byte   1                       # loadflags: LOADED_HIGH
        .word   0                       # setup_move_size
        .long   0x100000                # code32_start
        .long   0, 0, 0                 # ramdisk_image, ramdisk_size, bootsect_kludge
        .word   0                       # heap_end_ptr
        .byte   0, 0                    # ext_loader_ver, ext_loader_type
        .long   0                       # cmd_line_ptr
        .long   0x7fffffff              # initrd_addr_max
        .long   0x1000                  # kernel_alignment
        .byte   0, 12                   # relocatable_kernel: no; min_alignment
        .word   1                       # xloadflags: XLF_KERNEL_64, entry at +0x200
        .long   2047                    # cmdline_size
        .long   0                       # hardware_subarch
        .quad   0                       # hardware_subarch_data
        .long   0, 0                    # payload_offset, payload_length
        .quad   0                       # setup_data
        .quad   0x100000                # pref_address
        .long   needed_bytes            # init_size
        .long   0                       # handover_offset

        .org    0x268
1:      hlt
        jmp     1b
        .section .note.GNU-stack, "", @progbits
