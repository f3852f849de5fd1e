<?php

declare(strict_types=1);

namespace Stockade\Tests;

use RuntimeException;

/** A `stockade serve` on a socket file and a TCP port of its own, which ends with this object. */
final class Running
{
    private const SOON_SECONDS = 30;
    private const KEY = 'a key @ of/tests';

    /** What an engine opens. */
    public readonly string $url;
    /** The same by TCP. */
    public string $tcp;
    private readonly string $folder;
    /** @var resource */
    private $process;

    /**
     * @param string $program the `stockade` that is built
     * @param array<string, string|int|bool> $settings by name, as of an engine
     */
    public function __construct(string $program, string $store, array $settings = [])
    {
        $this->folder = sys_get_temp_dir() . '/stockade-running-' . getmypid() . '-' . hrtime(true);
        mkdir($this->folder);
        $socket = "{$this->folder}/stockade.sock";
        $this->url = "unix://{$socket}";
        $command = [$program, 'serve', '--listen=127.0.0.1:0', "--unix={$socket}", '--no-seed', '--log-level=warn'];
        foreach (['store' => $store] + $settings as $name => $value) {
            $text = is_bool($value) ? var_export($value, true) : (string) $value;
            $command[] = '--' . strtr($name, '_', '-') . "={$text}";
        }
        $log = ['file', "{$this->folder}/out.log", 'a'];
        $environment = ['STOCKADE_API_KEY' => self::KEY];
        $process = proc_open($command, [['file', '/dev/null', 'r'], $log, $log], $pipes, $this->folder, $environment);
        if ($process === false) {
            throw new RuntimeException("{$program} cannot be started");
        }
        $this->process = $process;
        $this->waitUntilItListens($socket);
    }

    /** Ends the server at once, as a crash does. */
    public function kill(): void
    {
        proc_terminate($this->process, SIGKILL);
        proc_close($this->process);
    }

    public function __destruct()
    {
        if (is_resource($this->process)) {
            $this->kill();
        }
        array_map('unlink', glob("{$this->folder}/*") ?: []);
        rmdir($this->folder);
    }

    private function waitUntilItListens(string $socket): void
    {
        $end = hrtime(true) + self::SOON_SECONDS * 1_000_000_000;
        do {
            $log = (string) file_get_contents("{$this->folder}/out.log");
            if (hrtime(true) > $end || !proc_get_status($this->process)['running']) {
                throw new RuntimeException("stockade serve does not listen: {$log}");
            }
            usleep(2_000);
            // The socket file is the last that it tells of.
        } while (!str_contains($log, "listening on unix://{$socket}"));
        preg_match('#listening on http://(127\.0\.0\.1:\d+)#', $log, $found);
        $this->tcp = 'http://:' . rawurlencode(self::KEY) . "@{$found[1]}";
    }
}
