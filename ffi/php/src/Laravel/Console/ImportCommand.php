<?php

declare(strict_types=1);

namespace Stockade\Laravel\Console;

use Illuminate\Console\Command;
use Illuminate\Database\ConnectionResolverInterface;
use Illuminate\Support\LazyCollection;
use InvalidArgumentException;
use Stockade\Client;
use Stockade\PutProduct;

/** Makes or replaces products from a table of the shop's database or a CSV file. */
final class ImportCommand extends Command
{
    private const BATCH = 1000;

    protected $signature = 'stockade:import
        {file? : A CSV file with a heading}
        {--table= : A table of the database instead}
        {--connection= : The table\'s database connection}
        {--id=id : The column of the id, which is kept; empty to let the SKU name the product}
        {--sku=sku : The column of the SKU; the id alone names a product where there is no such column}
        {--name=name : The column of the name}
        {--price=price : The column of the price}
        {--currency=currency : The column of the currency, if there is one}
        {--stock=stock : The column of the units in stock; empty to leave stock as it is}
        {--dry-run : Read everything and write nothing}';
    protected $description = 'Make or replace products from a table or a CSV file';

    public function handle(Client $client, ConnectionResolverInterface $databases): int
    {
        [$put, $rejected] = [0, 0];
        foreach ($this->rows($databases)->chunk(self::BATCH) as $rows) {
            $rows = $rows->values()->all();
            $requests = array_map($this->request(...), $rows);
            if ($this->option('dry-run')) {
                $put += count($requests);
                continue;
            }
            foreach ($client->putProducts($requests) as $number => $result) {
                if ($result->error === null) {
                    $put++;
                } else {
                    $rejected++;
                    $this->error("{$requests[$number]->product}: {$result->error->getMessage()}");
                }
            }
        }
        $done = $this->option('dry-run') ? 'read' : 'put';
        $this->line("{$put} products {$done}, {$rejected} rejected");
        return $rejected === 0 ? self::SUCCESS : self::FAILURE;
    }

    /** @return LazyCollection<int, array<string, mixed>> */
    private function rows(ConnectionResolverInterface $databases): LazyCollection
    {
        $table = $this->option('table');
        if ($table !== null) {
            $order = $this->option('id') ?: $this->option('sku');
            return $databases->connection($this->option('connection'))->table($table)->orderBy($order)
                ->lazy(self::BATCH)->map(static fn (object $row): array => (array) $row);
        }
        $file = $this->argument('file') ?? throw new InvalidArgumentException('name a file or --table');
        return LazyCollection::make(static function () use ($file): iterable {
            $lines = fopen($file, 'r') ?: throw new InvalidArgumentException("{$file} cannot be read");
            $heading = fgetcsv($lines, escape: '') ?: throw new InvalidArgumentException("{$file} has no heading");
            while (($fields = fgetcsv($lines, escape: '')) !== false) {
                if ($fields !== [null]) {
                    yield array_combine($heading, array_pad($fields, count($heading), ''));
                }
            }
        });
    }

    /** @param array<string, mixed> $row */
    private function request(array $row): PutProduct
    {
        $id = $this->column($row, 'id');
        $sku = $this->column($row, 'sku');
        return new PutProduct(
            $id ?? 'sku:' . ($sku ?? throw new InvalidArgumentException('a row has neither an id nor a SKU')),
            $this->column($row, 'name') ?? throw new InvalidArgumentException("{$id}{$sku} has no name"),
            $this->column($row, 'price') ?? throw new InvalidArgumentException("{$id}{$sku} has no price"),
            currency: $this->column($row, 'currency'),
            sku: $sku,
            stock: $this->column($row, 'stock'),
        );
    }

    /** @param array<string, mixed> $row */
    private function column(array $row, string $option): ?string
    {
        $value = $row[(string) $this->option($option)] ?? null;
        return $value === null || $value === '' ? null : (string) $value;
    }
}
