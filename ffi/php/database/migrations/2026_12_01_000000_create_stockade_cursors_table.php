<?php

declare(strict_types=1);

use Illuminate\Database\Migrations\Migration;
use Illuminate\Database\Schema\Blueprint;
use Illuminate\Support\Facades\Schema;

// How far the relay of events has come.
return new class () extends Migration {
    public function getConnection(): ?string
    {
        return config('stockade.events.connection');
    }

    public function up(): void
    {
        $schema = Schema::connection($this->getConnection());
        $schema->create('stockade_cursors', static function (Blueprint $table): void {
            $table->string('name', 64)->primary();
            $table->unsignedBigInteger('position')->default(0);
        });
    }

    public function down(): void
    {
        Schema::connection($this->getConnection())->dropIfExists('stockade_cursors');
    }
};
