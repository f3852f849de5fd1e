<?php

declare(strict_types=1);

namespace Stockade\Tests;

use PharData;
use PHPUnit\Framework\TestCase;
use RecursiveDirectoryIterator;
use RecursiveIteratorIterator;

/** The http driver needs neither ext-ffi nor the library, nor another package. */
final class NoFfiTest extends TestCase
{
    public function testExtCurlIsEnough(): void
    {
        // Without php.ini, nothing but what is built in and what is named.
        $told = $this->shop(['-n', '-d', 'extension=curl'], dirname(__DIR__));
        self::assertContains('curl', $told['extensions']);
        self::assertNotContains('ffi', $told['extensions']);
        self::assertSame([], $told['classes']);
    }

    public function testFfiMayBeDisabled(): void
    {
        $told = $this->shop(['-d', 'ffi.enable=0'], dirname(__DIR__));
        self::assertSame('0', $told['ffi']);
        self::assertSame([], array_filter($told['classes'], static fn (string $class): bool
            => str_starts_with($class, 'Stockade')));
    }

    public function testTheArchiveOfComposerIsEnough(): void
    {
        $folder = sys_get_temp_dir() . '/stockade-archive-' . getmypid() . '-' . hrtime(true);
        mkdir($folder);
        try {
            $command = ['composer', 'archive', '--quiet', '--format=tar', "--dir={$folder}", '--file=package'];
            self::output($command, dirname(__DIR__));
            (new PharData("{$folder}/package.tar"))->extractTo("{$folder}/package");
            $this->shop(['-n', '-d', 'extension=curl'], "{$folder}/package");
        } finally {
            self::remove($folder);
        }
    }

    public function testWithoutExtCurlTheErrorSaysSo(): void
    {
        $code = 'require "autoload.php"; Stockade\ClientFactory::connect("unix:///nowhere");';
        $said = self::output([PHP_BINARY, '-n', '-d', 'display_errors=stdout', '-r', $code], dirname(__DIR__), 255);
        self::assertStringContainsString('a running engine is reached through ext-curl, which is not loaded', $said);
    }

    /**
     * @param list<string> $options of PHP
     * @return array<string, mixed> what the script tells
     */
    private function shop(array $options, string $package): array
    {
        $running = new Running((string) getenv('STOCKADE_SERVER'), 'sqlite::memory:');
        $said = self::output([PHP_BINARY, ...$options, __DIR__ . '/http/shop.php', $package, $running->url], __DIR__);
        $told = json_decode($said, true);
        self::assertIsArray($told, $said);
        self::assertSame(['paid', 2], [$told['status'], $told['sold']]);
        return $told;
    }

    /** @param list<string> $command */
    private static function output(array $command, string $folder, int $expected = 0): string
    {
        $process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['pipe', 'w']], $pipes, $folder);
        self::assertIsResource($process);
        $said = stream_get_contents($pipes[1]) . stream_get_contents($pipes[2]);
        self::assertSame($expected, proc_close($process), $said);
        return $said;
    }

    private static function remove(string $folder): void
    {
        $files = new RecursiveIteratorIterator(
            new RecursiveDirectoryIterator($folder, RecursiveDirectoryIterator::SKIP_DOTS),
            RecursiveIteratorIterator::CHILD_FIRST
        );
        foreach ($files as $file) {
            $file->isDir() ? rmdir((string) $file) : unlink((string) $file);
        }
        rmdir($folder);
    }
}
