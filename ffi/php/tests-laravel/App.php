<?php

declare(strict_types=1);

namespace Stockade\Tests\Laravel;

use RuntimeException;

/** A copy of the example that runs, which is removed with this object. */
final class App
{
    public readonly string $folder;

    /**
     * @param array<string, string> $environment what its .env has besides
     * @param list<string> $overlays folders whose files replace the example's
     */
    public function __construct(array $environment = [], array $overlays = [])
    {
        $this->folder = sys_get_temp_dir() . '/stockade-app-' . getmypid() . '-' . hrtime(true);
        $this->run([__DIR__ . '/make-app', $this->folder, ...$overlays], '/');
        // A later line of the file does not replace an earlier one.
        $lines = file("{$this->folder}/.env", FILE_IGNORE_NEW_LINES) ?: [];
        $lines = array_filter($lines, static fn (string $line): bool
            => !array_key_exists(explode('=', $line)[0], $environment));
        foreach ($environment as $name => $value) {
            $lines[] = "{$name}=\"{$value}\"";
        }
        file_put_contents("{$this->folder}/.env", implode("\n", $lines) . "\n");
    }

    /** Runs a command of artisan, and returns what it printed. */
    public function artisan(string ...$arguments): string
    {
        return $this->run([PHP_BINARY, 'artisan', '--no-ansi', ...$arguments], $this->folder);
    }

    /** As for production: configuration, routes and listeners are read from one file each. */
    public function optimize(): void
    {
        foreach (['config:cache', 'route:cache', 'event:cache'] as $command) {
            $this->artisan($command);
        }
    }

    public function log(): string
    {
        return (string) @file_get_contents("{$this->folder}/storage/logs/laravel.log");
    }

    public function __destruct()
    {
        $this->run(['rm', '-rf', $this->folder], '/');
    }

    /** @param list<string> $command */
    private function run(array $command, string $folder): string
    {
        // The file's settings count, not those of this process.
        $kept = ['PATH', 'HOME', 'TMPDIR', 'STOCKADE_LARAVEL'];
        $environment = array_filter(getenv(), static fn (string $name): bool
            => in_array($name, $kept, true), ARRAY_FILTER_USE_KEY);
        $process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes, $folder, $environment);
        $output = $process === false ? '' : (string) stream_get_contents($pipes[1]);
        if ($process === false || proc_close($process) !== 0) {
            throw new RuntimeException(implode(' ', $command) . " failed: {$output}");
        }
        return $output;
    }
}
